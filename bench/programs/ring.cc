// A ring of the latest messages of 1 KiB each: a new one takes the place of the oldest, so that
// nearly everything dies in the order of its birth, and late. A request is one message: allocated,
// filled and put into the ring.
// Arguments: --messages=N (how many are sent), --live-mb=N, --pointers (half of a message are
// references to old objects), --interval=NS (0: the next when the last is done).

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

struct Topic {
  std::uint64_t number = 0;
};
constexpr std::size_t kTopics = 4096;
// Rounds of the ring before the clock starts. After the first it is full, after the others a
// collector's heap has grown to the size that it keeps: touching memory for the first time is dear.
constexpr std::uint64_t kWarmUp = 4;

struct Plain {
  static constexpr bool kLeaf = true;
  std::uint64_t words[128];

  void fill(std::uint64_t number, const backend::Field<Topic>*, Random&) {
    for (std::size_t i = 0; i < 128; ++i) words[i] = number + i;
  }
  std::uint64_t sum() const { return words[0] ^ words[127]; }
};

// 1 KiB whatever the size of a reference is.
struct Linked {
  static constexpr std::size_t kReferences = 32;
  backend::Field<Topic> topics[kReferences];
  std::uint64_t words[128 - kReferences * sizeof(backend::Field<Topic>) / 8];

  void fill(std::uint64_t number, const backend::Field<Topic>* all, Random& random) {
    std::uint32_t topic = random.below(kTopics);
    for (auto& reference : topics) reference = all[topic++ % kTopics];
    for (std::size_t i = 0; i < 64; ++i) words[i] = number + i;
  }
  std::uint64_t sum() const { return topics[0]->number ^ topics[31]->number ^ words[63]; }
};

template <typename Message>
int run(Program& program) {
  const std::uint64_t live_mb = program.number("--live-mb", 200, 8);
  const std::size_t live = live_mb * 1000;
  const std::uint64_t interval = program.number("--interval", 0, 0);
  const std::uint64_t messages = program.number("--messages", 10'000'000, 200'000);

  static backend::GlobalArray<backend::Field<Topic>> topics;
  topics = backend::make_array<backend::Field<Topic>>(kTopics);
  for (std::size_t i = 0; i < kTopics; ++i) {
    topics[i] = backend::make<Topic>();
    topics[i]->number = i;
  }
  static backend::GlobalArray<backend::Field<Message>> ring;
  ring = backend::make_array<backend::Field<Message>>(live);

  Control control;
  Requests requests(interval);
  requests.set_control(control);
  Random random(1);
  std::uint64_t checksum = 0;
  const backend::Field<Topic>* const all_topics = backend::raw(topics);
  backend::Field<Message>* const slots = backend::raw(ring);
  const std::uint64_t first_measured = kWarmUp * live;
  std::size_t at = 0;
  for (std::uint64_t number = 0; number < first_measured + messages; ++number) {
    const bool measured = number >= first_measured;
    if (number == first_measured) {
      program.begin();
      requests.begin();
    }
    if (measured) requests.await();
    backend::Ref<Message> message = backend::make<Message>();
    message->fill(number, all_topics, random);
    if (number >= live) {
      checksum = mixed(checksum, slots[at]->sum());
      backend::release(slots[at]);
    }
    slots[at] = message;
    at = at + 1 == live ? 0 : at + 1;
    if (measured) requests.done();
  }
  const int status = program.end(checksum, backend::collections(), &requests);
  ring = nullptr;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  backend::start();
  return program.has("--pointers") ? run<Linked>(program) : run<Plain>(program);
}
