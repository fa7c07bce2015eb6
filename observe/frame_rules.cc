#include "observe/frame_rules.h"

#include <array>
#include <atomic>
#include <cstring>

namespace tricolor::observe {

#if defined(__x86_64__)

namespace {

// As the compiler's runtime has it.
struct Bases {
  void* text;
  void* data;
  void* function;
};
extern "C" const void* _Unwind_Find_FDE(void* address, Bases* bases);

constexpr uint64_t kRbp = 6;
constexpr uint64_t kRsp = 7;
constexpr uint64_t kReturn = 16;

class Bytes {
 public:
  explicit Bytes(const uint8_t* at, const uint8_t* end = nullptr) noexcept : at_(at), end_(end) {}
  const uint8_t* at() const noexcept { return at_; }
  bool at_end() const noexcept { return at_ >= end_; }
  void set_end(const uint8_t* end) noexcept { end_ = end; }
  void skip(uint64_t bytes) noexcept { at_ += bytes; }

  template <class T>
  T fixed() noexcept {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  uint64_t uleb() noexcept {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = fixed<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }
  int64_t sleb() noexcept {
    uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const auto byte = fixed<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(value);
    }
  }
  // An encoded pointer is as long as its format says.
  bool skip_encoded(uint8_t encoding) noexcept {
    switch (encoding & 0x0f) {
      case 0x00:
      case 0x04:
      case 0x0c:
        at_ += 8;
        return true;
      case 0x03:
      case 0x0b:
        at_ += 4;
        return true;
      case 0x02:
      case 0x0a:
        at_ += 2;
        return true;
      default:
        return false;
    }
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

struct Cie {
  uint64_t code_align = 1;
  int64_t data_align = 1;
  uint8_t encoding = 0;
  bool has_lengths = false;
  Bytes instructions{nullptr};
};

bool read_cie(const uint8_t* at, Cie& cie) noexcept {
  Bytes in(at);
  const auto length = in.fixed<uint32_t>();
  if (length == 0xffffffffu) return false;
  const uint8_t* const end = in.at() + length;
  in.skip(4);
  const auto version = in.fixed<uint8_t>();
  if (version != 1 && version != 3) return false;
  const auto* const augmentation = reinterpret_cast<const char*>(in.at());
  in.skip(std::strlen(augmentation) + 1);
  cie.code_align = in.uleb();
  cie.data_align = in.sleb();
  if (version == 1) {
    in.skip(1);
  } else {
    in.uleb();
  }
  for (const char* c = augmentation; *c != '\0'; ++c) {
    switch (*c) {
      case 'z':
        cie.has_lengths = true;
        in.uleb();
        break;
      case 'R':
        cie.encoding = in.fixed<uint8_t>();
        break;
      case 'L':
        in.skip(1);
        break;
      case 'P':
        if (const auto encoding = in.fixed<uint8_t>(); !in.skip_encoded(encoding)) return false;
        break;
      default:  // 'S' among them: a signal's frame
        return false;
    }
  }
  cie.instructions = Bytes(in.at(), end);
  return true;
}

// What the instructions of a table say at one address.
class Machine {
 public:
  Machine(const Cie& cie, uintptr_t function, uintptr_t address) noexcept
      : cie_(cie), at_(function), address_(address) {}

  // False where there is something that is not simple.
  bool run(Bytes in) noexcept {
    while (!in.at_end()) {
      const auto opcode = in.fixed<uint8_t>();
      const uint64_t low = opcode & 0x3f;
      switch (opcode >> 6) {
        case 1:
          if (advance(low)) return true;
          break;
        case 2:
          save(low, static_cast<int64_t>(in.uleb()) * cie_.data_align);
          break;
        case 3:
          restore(low);
          break;
        default:
          bool over = false;
          if (!extended(opcode, in, over)) return false;
          if (over) return true;
      }
    }
    return true;
  }

  void note_initial() noexcept { initial_ = row_; }

  FrameRule rule() const noexcept {
    FrameRule rule;
    if (row_.outermost) {
      rule.base = FrameRule::Base::kOutermost;
      return rule;
    }
    if (row_.complicated || (row_.reg != kRsp && row_.reg != kRbp)) return rule;
    if (row_.offset < 8 || row_.offset > INT32_MAX || row_.rbp < INT16_MIN || row_.rbp > INT16_MAX)
      return rule;
    rule.base = row_.reg == kRsp ? FrameRule::Base::kRsp : FrameRule::Base::kRbp;
    rule.saves_rbp = row_.saves_rbp;
    rule.cfa_offset = static_cast<int32_t>(row_.offset);
    rule.rbp_offset = static_cast<int16_t>(row_.rbp);
    return rule;
  }

 private:
  struct Row {
    uint64_t reg = kRsp;
    int64_t offset = 0;
    int64_t rbp = 0;
    bool saves_rbp = false;
    bool outermost = false;
    bool complicated = false;
  };

  bool advance(uint64_t delta) noexcept {
    at_ += delta * cie_.code_align;
    return at_ > address_;
  }
  void save(uint64_t reg, int64_t offset) noexcept {
    if (reg == kRbp) {
      row_.saves_rbp = true;
      row_.rbp = offset;
    } else if (reg == kReturn && offset != -8) {
      row_.complicated = true;
    }
  }
  void restore(uint64_t reg) noexcept {
    if (reg == kRbp) {
      row_.saves_rbp = initial_.saves_rbp;
      row_.rbp = initial_.rbp;
    }
  }

  bool extended(uint8_t opcode, Bytes& in, bool& over) noexcept {
    switch (opcode) {
      case 0x00:
        return true;
      case 0x02:
        over = advance(in.fixed<uint8_t>());
        return true;
      case 0x03:
        over = advance(in.fixed<uint16_t>());
        return true;
      case 0x04:
        over = advance(in.fixed<uint32_t>());
        return true;
      case 0x05: {  // offset_extended
        const uint64_t reg = in.uleb();
        save(reg, static_cast<int64_t>(in.uleb()) * cie_.data_align);
        return true;
      }
      case 0x06:
        restore(in.uleb());
        return true;
      case 0x07:  // undefined
        if (in.uleb() == kReturn) row_.outermost = true;
        return true;
      case 0x08:  // same_value
        if (in.uleb() == kRbp) row_.saves_rbp = false;
        return true;
      case 0x0a:  // remember_state
        if (depth_ == kDeepest) return false;
        states_[depth_++] = row_;
        return true;
      case 0x0b:
        if (depth_ == 0) return false;
        row_ = states_[--depth_];
        return true;
      case 0x0c:  // def_cfa
        row_.reg = in.uleb();
        row_.offset = static_cast<int64_t>(in.uleb());
        return true;
      case 0x0d:
        row_.reg = in.uleb();
        return true;
      case 0x0e:
        row_.offset = static_cast<int64_t>(in.uleb());
        return true;
      case 0x2e:  // GNU_args_size
        in.uleb();
        return true;
      default:  // expressions and the like
        return false;
    }
  }

  static constexpr int kDeepest = 4;

  const Cie& cie_;
  uintptr_t at_;
  uintptr_t address_;
  Row row_;
  Row initial_;
  Row states_[kDeepest];
  int depth_ = 0;
};

FrameRule read_rule(uintptr_t address) noexcept {
  Bases bases{};
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const void* const found = _Unwind_Find_FDE(reinterpret_cast<void*>(address), &bases);
  if (found == nullptr) return {};
  Bytes in(static_cast<const uint8_t*>(found));
  const auto length = in.fixed<uint32_t>();
  if (length == 0xffffffffu) return {};
  const uint8_t* const end = in.at() + length;
  const uint8_t* const here = in.at();
  Cie cie;
  if (!read_cie(here - in.fixed<int32_t>(), cie)) return {};
  if (!in.skip_encoded(cie.encoding) || !in.skip_encoded(cie.encoding)) return {};
  if (cie.has_lengths) {
    const uint64_t bytes = in.uleb();
    in.skip(bytes);
  }
  in.set_end(end);
  Machine machine(cie, reinterpret_cast<uintptr_t>(bases.function), address);
  if (!machine.run(cie.instructions)) return {};
  machine.note_initial();
  if (!machine.run(in)) return {};
  return machine.rule();
}

// [rules.pairs]
struct Entry {
  std::atomic<uint64_t> key{0};
  std::atomic<uint64_t> rule{0};
};
constexpr size_t kEntries = 4096;
constinit std::array<Entry, kEntries> g_entries{};

uint64_t pack(const FrameRule& rule) noexcept {
  return uint64_t{static_cast<uint32_t>(rule.cfa_offset)} << 32 |
         uint64_t{static_cast<uint16_t>(rule.rbp_offset)} << 16 |
         static_cast<uint64_t>(rule.base) << 8 | (rule.saves_rbp ? 2u : 0u) | 1u;
}
FrameRule unpack(uint64_t word) noexcept {
  return {static_cast<FrameRule::Base>(word >> 8 & 0xff), (word & 2) != 0,
          static_cast<int32_t>(word >> 32), static_cast<int16_t>(word >> 16 & 0xffff)};
}

}  // namespace

FrameRule frame_rule(uintptr_t address) noexcept {
  Entry& entry = g_entries[address * 0x9e3779b97f4a7c15u >> 52];
  const uint64_t word = entry.rule.load(std::memory_order_relaxed);
  if (word != 0 && (entry.key.load(std::memory_order_relaxed) ^ word) == address)
    return unpack(word);
  const FrameRule rule = read_rule(address);
  const uint64_t fresh = pack(rule);
  entry.rule.store(fresh, std::memory_order_relaxed);
  entry.key.store(address ^ fresh, std::memory_order_relaxed);
  return rule;
}

#else

FrameRule frame_rule(uintptr_t) noexcept { return {}; }

#endif

}  // namespace tricolor::observe
