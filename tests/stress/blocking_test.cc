// Threads in system calls while cycles run: nobody is woken with an error, no byte is lost, no
// reference either.
#include "tests/support.hpp"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>

namespace tricolor::tests {
namespace {

// Raised by SIGURG as the runtime uses it, these calls restart; an EINTR would reach every program
// that is linked with the library.
class Pipe {
 public:
  Pipe() {
    if (pipe(ends_) != 0) FAIL("pipe: " << std::strerror(errno));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int in() const { return ends_[1]; }
  int out() const { return ends_[0]; }
  void close_in() { close_end(1); }

 private:
  void close_end(int i) {
    if (ends_[i] >= 0) close(ends_[i]);
    ends_[i] = -1;
  }
  int ends_[2] = {-1, -1};
};

// Sends `total` bytes of a sequence through `in` in odd pieces; the receiver checks each of them.
void send_sequence(int in, std::size_t total, std::uint64_t seed, Findings& findings) {
  Random random(seed);
  Node* const held = gc::make<Node>(seed);
  std::vector<unsigned char> piece;
  for (std::size_t sent = 0; sent < total;) {
    piece.resize(std::min(total - sent, 1 + random.below(random.one_in(10) ? 100'000 : 3000)));
    for (std::size_t i = 0; i < piece.size(); ++i)
      piece[i] = static_cast<unsigned char>(mix(sent + i));
    for (std::size_t done = 0; done < piece.size();) {
      const ssize_t n = write(in, piece.data() + done, piece.size() - done);
      if (n < 0) {
        findings.expect(false, errno == EINTR ? "write was interrupted" : "write failed");
        return;
      }
      done += static_cast<std::size_t>(n);
    }
    sent += piece.size();
    if (random.one_in(20)) std::this_thread::sleep_for(std::chrono::microseconds(300));
    findings.expect(held->intact() && held->key == seed, "a writer's local was reclaimed");
  }
}

void receive_sequence(int out, std::size_t total, std::uint64_t seed, Findings& findings) {
  Random random(seed);
  Node* const held = gc::make<Node>(seed);
  std::vector<unsigned char> piece(70'000);
  std::size_t received = 0;
  for (;;) {
    const ssize_t n = read(out, piece.data(), 1 + random.below(piece.size()));
    if (n < 0) {
      findings.expect(false, errno == EINTR ? "read was interrupted" : "read failed");
      return;
    }
    if (n == 0) break;
    for (ssize_t i = 0; i < n; ++i) {
      if (piece[static_cast<std::size_t>(i)] !=
          static_cast<unsigned char>(mix(received + static_cast<std::size_t>(i)))) {
        findings.expect(false, "a byte changed on its way");
        return;
      }
    }
    received += static_cast<std::size_t>(n);
    findings.expect(held->intact() && held->key == seed, "a reader's local was reclaimed");
  }
  findings.expect(received == total, "bytes were lost");
}

TEST_CASE("stress blocking: data through pipes between threads that hold references") {
  const std::uint64_t seed = announce_seed("pipes");
  const std::size_t total = stress_rounds(120u << 20);
  Findings findings;
  CollectingThread collector;
  std::array<Pipe, 2> pipes;
  std::vector<std::thread> threads;
  for (std::size_t p = 0; p < pipes.size(); ++p) {
    threads.emplace_back([&, p] {
      send_sequence(pipes[p].in(), total, seed + p, findings);
      pipes[p].close_in();
    });
    threads.emplace_back([&, p] { receive_sequence(pipes[p].out(), total, seed + p, findings); });
  }
  for (auto& thread : threads) thread.join();
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

// ThreadSanitizer keeps signals from a thread that waits in a system call it does not know.
TEST_CASE("stress blocking: calls that may be restarted are: read, accept, waitpid, locks" *
          doctest::skip(kThreadSanitizer)) {
  Findings findings;
  Pipe pipe;
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(listener >= 0);
  sockaddr address{};
  address.sa_family = AF_UNIX;
  REQUIRE(bind(listener, &address, sizeof(sa_family_t)) == 0);  // an address of its own choosing
  REQUIRE(listen(listener, 4) == 0);
  sem_t semaphore;
  REQUIRE(sem_init(&semaphore, 0, 0) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pause();
    _exit(0);
  }
  std::atomic<int> waiting{0};
  std::vector<std::thread> threads;
  const auto start = [&](auto call) {
    threads.emplace_back([&findings, &waiting, call] {
      Node* const held = gc::make<Node>(1);
      ++waiting;
      call();
      findings.expect(held->intact(), "a blocked thread's local was reclaimed");
    });
  };
  start([&] {
    char byte = 0;
    findings.expect(read(pipe.out(), &byte, 1) == 1 && byte == 'x', "read was interrupted");
  });
  start([&] {
    const int accepted = accept(listener, nullptr, nullptr);
    findings.expect(accepted >= 0, "accept was interrupted");
    close(accepted);
  });
  start([&] {
    int status = 0;
    findings.expect(waitpid(child, &status, 0) == child && WIFSIGNALED(status),
                    "waitpid was interrupted");
  });
  start([&] { findings.expect(sem_wait(&semaphore) == 0, "sem_wait was interrupted"); });
  CHECK(eventually([&] { return waiting == 4; }));
  {
    CollectingThread collector;
    CHECK(eventually([&] { return collector.cycles() >= stress_rounds(1500); }));
  }
  CHECK(write(pipe.in(), "x", 1) == 1);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t length = sizeof address;
  sockaddr_storage bound{};
  length = sizeof bound;
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &length) == 0);
  CHECK(connect(client, reinterpret_cast<sockaddr*>(&bound), length) == 0);
  kill(child, SIGKILL);
  sem_post(&semaphore);
  for (auto& thread : threads) thread.join();
  close(client);
  close(listener);
  sem_destroy(&semaphore);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE(
    "stress blocking: sleepers, waiters and spinners keep their locals and delay no cycle for "
    "ever") {
  Findings findings;
  std::atomic<bool> stop{false};
  std::atomic<int> ready{0};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> threads;
  const auto start = [&](auto step) {
    threads.emplace_back([&, step] {
      Node* const held = gc::make<Node>(3);
      held->left = gc::make<Node>(4);
      ++ready;
      while (!stop.load()) {
        step();
        if (!held->intact() || !held->left->intact())
          findings.expect(false, "a local was reclaimed");
      }
    });
  };
  start([] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
  start([] { usleep(500); });
  start([&] {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, std::chrono::milliseconds(1));
  });
  start([&] {
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return stop.load(); });
  });
  start([] { poll(nullptr, 0, 1); });
  start([] {
    const runtime::BlockingScope scope;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  start([] { spin(100'000); });
  start([] { std::this_thread::yield(); });
  CHECK(eventually([&] { return ready == 8; }));
  {
    CollectingThread collector;
    const std::uint64_t wanted = stress_rounds(300);
    CHECK(eventually([&] { return collector.cycles() >= wanted; }));
  }
  churn();
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  wake.notify_all();
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

// [thread.reentry] No collected object is touched, but the library is entered while the collector may be
// answering for the thread.
TEST_CASE("stress blocking: roots and weak references end inside a BlockingScope") {
  Findings findings;
  CollectingThread collector(scaled(kLongChain) / 10);
  on_threads(3, [&](std::size_t t) {
    for (std::size_t round = 0; round < stress_rounds(60); ++round) {
      constexpr std::size_t kHeld = 200;
      std::array<Node*, kHeld> held;
      std::vector<gc::root<Node>> roots;
      std::vector<gc::weak<Node>> weaks;
      for (std::size_t i = 0; i < kHeld; ++i) {
        held[i] = gc::make<Node>(t * kHeld + i);
        held[i]->left = gc::make<Node>(~(t * kHeld + i));
        for (int more = 0; more < 10; ++more) {
          roots.emplace_back(gc::make<Node>(i));
          weaks.emplace_back(held[i]);
        }
      }
      {
        const runtime::BlockingScope blocking;
        while (!roots.empty()) {
          roots.pop_back();
          weaks.pop_back();
        }
      }
      for (std::size_t i = 0; i < kHeld; ++i) {
        if (!held[i]->intact() || held[i]->key != t * kHeld + i || !held[i]->left->intact()) {
          findings.expect(false, "an object is gone that was held over a BlockingScope");
          break;
        }
      }
    }
  });
  collector.stop();
  CAPTURE(findings.first());
  CHECK(findings.count() == 0);
}

TEST_CASE("stress blocking: in and out of BlockingScope all the time") {
  Findings findings;
  CollectingThread collector;
  on_threads(4, [&](std::size_t t) {
    Node* held = gc::make<Node>(t);
    for (std::size_t i = 0; i < stress_rounds(1'500'000); ++i) {
      {
        const runtime::BlockingScope scope;
        if (i % 500 == 0) std::this_thread::yield();
      }
      if (!held->intact() || held->key != t + i)
        findings.expect(false, "lost across a blocking scope");
      Node* const next = gc::make<Node>(t + i + 1);
      held = next;
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

TEST_CASE(
    "stress blocking: nobody's thread is woken for a cycle when all sleep in a BlockingScope") {
  // A cycle among sleeping threads ends although none of them can answer: all signals are blocked.
  Findings findings;
  std::atomic<int> ready{0};
  Pipe pipe;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      Node* const held = gc::make<Node>(t);
      held->right = gc::make<Node>(t + 1);
      ssize_t n;
      char byte;
      {
        const runtime::BlockingScope scope;
        ++ready;
        n = read(pipe.out(), &byte, 1);
      }
      findings.expect(n == 0, "read returned early");
      findings.expect(held->intact() && held->right->intact(), "lost while blocked");
    });
  }
  CHECK(eventually([&] { return ready == 8; }));
  shake(10);
  pipe.close_in();
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
