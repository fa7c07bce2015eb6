// Natural C++ over collected objects: a pool of threads that takes std::function jobs from a
// std::deque, std::async, and lambdas that hold plain pointers. traced_new.hpp makes all memory of
// `new` traced, so each of them is a reference.
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <tricolor/prelude.hpp>
#include <tricolor/traced_new.hpp>

namespace {

struct Document {
  explicit Document(int n) : number(n) {}
  int number;
  int words = 0;
  gc::ptr<Document> summary;
};

class ThreadPool {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~ThreadPool() {
    {
      const std::lock_guard guard(lock_);
      done_ = true;
    }
    some_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void run(std::function<void()> job) {
    {
      const std::lock_guard guard(lock_);
      jobs_.push_back(std::move(job));
    }
    some_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock guard(lock_);
        some_.wait(guard, [this] { return done_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }

  std::mutex lock_;
  std::condition_variable some_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  bool done_ = false;
};

std::mutex g_results_lock;
std::vector<Document*> g_results;

}  // namespace

int main() {
  constexpr int kDocuments = 20'000;
  {
    ThreadPool pool(4);
    for (int i = 0; i < kDocuments; ++i) {
      pool.run([document = gc::make<Document>(i)] {
        document->summary = gc::make<Document>(document->number);
        document->summary->words = document->number % 100;
        const std::lock_guard guard(g_results_lock);
        g_results.push_back(document);
      });
    }
  }
  std::future<long> total = std::async(std::launch::async, [results = g_results] {
    long words = 0;
    for (Document* document : results) words += document->summary->words;
    return words;
  });
  g_results.clear();
  runtime::collect();
  const long words = total.get();
  std::printf("%ld words\n", words);
  return words == kDocuments / 100 * (99 * 100 / 2) ? 0 : 1;
}
