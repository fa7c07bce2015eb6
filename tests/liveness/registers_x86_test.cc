// The only reference to an object in one register, in a vector register, or in the red zone: each
// is a root.
//
// The program's thread turns a disguised address into a real one inside an asm block, which spins
// until another thread has collected, and disguises it again: nothing but the one register ever
// holds the address. The last case leaves out the undisguising and must lose its objects, so the
// others cannot pass by accident.
#if defined(__x86_64__)

#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

// What the asm blocks below work on; the offsets are part of them.
struct Exchange {
  std::uint64_t hidden = 0;    // 0: the address, inverted
  std::int32_t go_on = 0;      // 8
  std::int32_t spinning = 0;   // 12
  std::uint64_t out = 0;       // 16: what came back, inverted
  std::uint64_t ones = ~0ull;  // 24
};
static_assert(offsetof(Exchange, go_on) == 8 && offsetof(Exchange, spinning) == 12 &&
              offsetof(Exchange, out) == 16 && offsetof(Exchange, ones) == 24);

using Holder = void (*)(Exchange*);

std::int32_t load(std::int32_t& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
void store(std::int32_t& word, std::int32_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}

// How many of `rounds` objects were still there after two collections, with `hold` as their only
// reference.
std::size_t survivors(Holder hold, std::size_t rounds) {
  std::size_t alive = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    Exchange exchange;
    gc::root<Node> until_held;
    gc::weak<Node> weak;
    on_fresh_thread([&] {
      until_held = gc::make<Node>(round);
      weak = until_held.get();
      exchange.hidden = hide(until_held.get());
    });
    std::thread holder([&] {
      runtime::attach_thread();
      hold(&exchange);
    });
    while (load(exchange.spinning) == 0) std::this_thread::yield();
    until_held = nullptr;
    for (int i = 0; i < 2; ++i) {
      runtime::collect();
      churn(500);
    }
    on_fresh_thread([&] {
      const Node* const node = weak.lock();
      alive += node != nullptr && node->intact() && node->key == round ? 1 : 0;
    });
    store(exchange.go_on, 1);
    holder.join();
    CHECK(exchange.out == exchange.hidden);
  }
  return alive;
}

// Waits for go_on; %rdi is the Exchange.
#define SPIN "movl $1, 12(%%rdi)\n 1: pause\n cmpl $0, 8(%%rdi)\n je 1b\n"

#define HOLD_IN_GENERAL(reg)                                                                      \
  void hold_in_##reg(Exchange* exchange) {                                                        \
    asm volatile("mov (%%rdi), %%" #reg "\n not %%" #reg "\n" SPIN "not %%" #reg "\n mov %%" #reg \
                 ", 16(%%rdi)"                                                                    \
                 :                                                                                \
                 : "D"(exchange)                                                                  \
                 : #reg, "memory", "cc");                                                         \
  }
HOLD_IN_GENERAL(rax)
HOLD_IN_GENERAL(rbx)
HOLD_IN_GENERAL(rcx)
HOLD_IN_GENERAL(rdx)
HOLD_IN_GENERAL(rsi)
HOLD_IN_GENERAL(r8)
HOLD_IN_GENERAL(r9)
HOLD_IN_GENERAL(r10)
HOLD_IN_GENERAL(r11)
HOLD_IN_GENERAL(r12)
HOLD_IN_GENERAL(r13)
HOLD_IN_GENERAL(r14)
HOLD_IN_GENERAL(r15)

// %rbp may be the frame pointer: saved around.
void hold_in_rbp(Exchange* exchange) {
  asm volatile("mov %%rbp, %%rdx\n mov (%%rdi), %%rbp\n not %%rbp\n" SPIN
               "not %%rbp\n mov %%rbp, 16(%%rdi)\n mov %%rdx, %%rbp"
               :
               : "D"(exchange)
               : "rdx", "memory", "cc");
}

// The 128 bytes below the stack pointer belong to a leaf function and are not overwritten by
// signals.
void hold_in_red_zone(Exchange* exchange) {
  asm volatile(
      "mov -120(%%rsp), %%rdx\n mov (%%rdi), %%rcx\n not %%rcx\n mov %%rcx, -120(%%rsp)\n xor "
      "%%ecx, %%ecx\n" SPIN
      "mov -120(%%rsp), %%rcx\n not %%rcx\n mov %%rcx, 16(%%rdi)\n mov %%rdx, -120(%%rsp)"
      :
      : "D"(exchange)
      : "rcx", "rdx", "memory", "cc");
}

#define HOLD_IN_XMM(reg)                                                                    \
  void hold_in_##reg(Exchange* exchange) {                                                  \
    asm volatile("movq (%%rdi), %%" #reg "\n movq 24(%%rdi), %%xmm0\n pxor %%xmm0, %%" #reg \
                 "\n" SPIN "pxor %%xmm0, %%" #reg "\n movq %%" #reg ", 16(%%rdi)"           \
                 :                                                                          \
                 : "D"(exchange)                                                            \
                 : #reg, "xmm0", "memory", "cc");                                           \
  }
HOLD_IN_XMM(xmm1)
HOLD_IN_XMM(xmm7)
HOLD_IN_XMM(xmm15)

// In the upper half of a vector of 32 bytes.
__attribute__((target("avx2"))) void hold_in_ymm_high(Exchange* exchange) {
  asm volatile(
      "vmovq (%%rdi), %%xmm9\n vmovq 24(%%rdi), %%xmm1\n vpxor %%xmm1, %%xmm9, %%xmm9\n"
      "vpxor %%xmm8, %%xmm8, %%xmm8\n vinserti128 $1, %%xmm9, %%ymm8, %%ymm8\n"
      "vpxor %%xmm9, %%xmm9, %%xmm9\n" SPIN
      "vextracti128 $1, %%ymm8, %%xmm9\n vpxor %%xmm1, %%xmm9, %%xmm9\n vmovq %%xmm9, 16(%%rdi)\n "
      "vzeroupper"
      :
      : "D"(exchange)
      : "xmm1", "xmm8", "xmm9", "memory", "cc");
}

// In the top quarter of one of the upper sixteen vectors of 64 bytes.
__attribute__((target("avx512f,avx512dq,avx512vl"))) void hold_in_zmm_high(Exchange* exchange) {
  asm volatile(
      "vmovq (%%rdi), %%xmm9\n vmovq 24(%%rdi), %%xmm1\n vpxor %%xmm1, %%xmm9, %%xmm9\n"
      "vpxorq %%zmm20, %%zmm20, %%zmm20\n vinserti32x4 $3, %%xmm9, %%zmm20, %%zmm20\n"
      "vpxor %%xmm9, %%xmm9, %%xmm9\n" SPIN
      "vextracti32x4 $3, %%zmm20, %%xmm9\n vpxor %%xmm1, %%xmm9, %%xmm9\n vmovq %%xmm9, 16(%%rdi)\n"
      "vpxorq %%zmm20, %%zmm20, %%zmm20\n vzeroupper"
      :
      : "D"(exchange)
      : "xmm1", "xmm9", "xmm20", "memory", "cc");
}

void hold_nowhere(Exchange* exchange) {
  asm volatile("mov (%%rdi), %%rdx\n" SPIN "mov %%rdx, 16(%%rdi)"
               :
               : "D"(exchange)
               : "rdx", "memory", "cc");
}

constexpr std::size_t kRounds = 4;

// ThreadSanitizer delivers a signal at the next call it knows, and a thread that spins in assembly
// makes none.
#define REGISTER_TEST(name) TEST_CASE(name* doctest::skip(kThreadSanitizer))

REGISTER_TEST("registers: each general one holds its object") {
  for (Holder hold : {&hold_in_rax, &hold_in_rbx, &hold_in_rcx, &hold_in_rdx, &hold_in_rsi,
                      &hold_in_rbp, &hold_in_r8, &hold_in_r9, &hold_in_r10, &hold_in_r11,
                      &hold_in_r12, &hold_in_r13, &hold_in_r14, &hold_in_r15}) {
    CHECK(survivors(hold, kRounds) == kRounds);
  }
}

REGISTER_TEST("registers: the red zone below the stack pointer counts") {
  CHECK(survivors(&hold_in_red_zone, kRounds) == kRounds);
}

REGISTER_TEST("registers: vectors of 16 bytes") {
  for (Holder hold : {&hold_in_xmm1, &hold_in_xmm7, &hold_in_xmm15})
    CHECK(survivors(hold, kRounds) == kRounds);
}

REGISTER_TEST("registers: the upper half of a vector of 32 bytes") {
  if (!__builtin_cpu_supports("avx2")) return;
  CHECK(survivors(&hold_in_ymm_high, kRounds) == kRounds);
}

REGISTER_TEST("registers: the last quarter of a vector of 64 bytes") {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return;
  CHECK(survivors(&hold_in_zmm_high, kRounds) == kRounds);
}

REGISTER_TEST("registers: a disguised address in one keeps nothing") {
  CHECK(survivors(&hold_nowhere, 20) <= 1);
}

}  // namespace
}  // namespace tricolor::tests

#endif
