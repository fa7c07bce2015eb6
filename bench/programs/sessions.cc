// A server at full speed whose objects own std::strings: a request looks a session up, answers with
// an object that refers to it and dies at once, and every eighth one puts a new session in the
// place of an old one. What the dead own lies in malloc's memory, and nobody is told of it. By
// time, so the checksum says nothing of the work done.
// Arguments: --threads=N, --seconds=N, --live-mb=N.

#include <string>
#include <thread>
#include <vector>

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::now_ns;
using bench::programs::Program;
using bench::programs::Random;

struct Session {
  std::uint64_t number = 0;
  std::string user;
  std::string token;
};

struct Answer {
  backend::Field<Session> session{};
  std::string body;
};

struct Server {
  backend::ArrayField<backend::Field<Session>> sessions{};
};

constexpr std::uint64_t kMeanString = 128;
constexpr std::uint64_t kSessionBytes = sizeof(Session) + 2 * (kMeanString + 16);

std::string text(Random& random) {
  return std::string(kMeanString / 2 + random.below(kMeanString), 'x');
}

backend::Ref<Session> make_session(Random& random) {
  const backend::Ref<Session> session = backend::make_destroyed<Session>();
  session->number = random.next();
  session->user = text(random);
  session->token = text(random);
  return session;
}

// Requests served until `end`.
std::uint64_t serve(backend::Field<Session>* sessions, std::uint32_t count, std::uint64_t seed,
                    std::uint64_t end) {
  Random random(seed);
  for (std::uint32_t i = 0; i < count; ++i) sessions[i] = make_session(random);
  std::uint64_t served = 0;
  for (; served % 256 != 0 || now_ns() < end; ++served) {
    backend::Field<Session>& place = sessions[random.below(count)];
    const backend::Ref<Answer> answer = backend::make_destroyed<Answer>();
    answer->session = place;
    answer->body = answer->session->user + answer->session->token;
    backend::release_destroyed(answer);
    if (served % 8 == 0) {
      backend::release_destroyed(place);
      place = make_session(random);
    }
  }
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const unsigned threads = program.threads();
  const std::uint64_t live = program.number("--live-mb", 100, 10) << 20;
  const std::uint64_t seconds = program.number("--seconds", 60, 1);
  const auto count = static_cast<std::uint32_t>(live / kSessionBytes / threads);
  backend::start();
  static backend::GlobalArray<Server> servers;
  servers = backend::make_array<Server>(threads);
  for (unsigned t = 0; t < threads; ++t)
    servers[t].sessions = backend::make_array<backend::Field<Session>>(count);
  program.begin();
  const std::uint64_t end = now_ns() + seconds * 1'000'000'000;
  std::vector<std::uint64_t> served(threads);
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      const backend::ThreadScope scope;
      served[t] = serve(backend::raw(servers[t].sessions), count, t + 1, end);
    });
  }
  backend::blocking([&] {
    for (std::thread& worker : workers) worker.join();
  });
  program.stop();
  std::uint64_t all = 0;
  for (const std::uint64_t n : served) all += n;
  program.figure("requests/s", static_cast<double>(all) / static_cast<double>(seconds));
  program.figure("live MB",
                 static_cast<double>(std::uint64_t{count} * threads * kSessionBytes) / (1 << 20));
  return program.end(1, backend::collections());
}
