#include "observe/pprof.h"

#include "observe/gzip.h"
#include "runtime/os/os.h"

namespace tricolor::observe {

// A message being written: fields in the order they come.
class Pprof::Message {
 public:
  void number(unsigned field, uint64_t value) {
    if (value == 0) return;
    varint(field << 3);
    varint(value);
  }
  void bytes(unsigned field, std::string_view data) {
    varint(field << 3 | 2);
    varint(data.size());
    text_.append(data);
  }
  template <class Numbers>
  void packed(unsigned field, const Numbers& numbers) {
    Message inner;
    for (const auto value : numbers) inner.varint(static_cast<uint64_t>(value));
    bytes(field, inner.text_);
  }
  void raw(std::string_view data) { text_.append(data); }
  const std::string& text() const noexcept { return text_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>((value & 0x7f) | 0x80);
    text_ += static_cast<char>(value);
  }

  std::string text_;
};

Pprof::Pprof(std::vector<Unit> sample_types, Unit period_type, int64_t period)
    : sample_types_(std::move(sample_types)), period_type_(period_type), period_(period) {
  string("");
}

uint64_t Pprof::string(std::string_view text) {
  const auto [at, added] = string_numbers_.try_emplace(std::string(text), strings_.size());
  if (added) strings_.push_back(at->first);
  return at->second;
}

void Pprof::add(const uintptr_t* frames, size_t depth, std::vector<int64_t> values,
                const StringLabels& labels, int64_t bytes) {
  Sample sample{{frames, frames + depth}, std::move(values), {}, bytes};
  for (const auto& [key, value] : labels) {
    const uint64_t key_number = string(key);
    sample.labels.emplace_back(key_number, string(value));
  }
  samples_.push_back(std::move(sample));
}

uint64_t Pprof::function(const Place& place) {
  const auto [at, added] =
      functions_.try_emplace({place.system_name, place.file}, functions_.size() + 1);
  if (added) {
    Message message;
    message.number(1, at->second);
    message.number(2, string(place.function));
    message.number(3, string(place.system_name));
    message.number(4, string(place.file));
    Message outer;
    outer.bytes(5, message.text());
    function_messages_ += outer.text();
  }
  return at->second;
}

uint64_t Pprof::location(uintptr_t address, const Symbols& symbols) {
  const auto [at, added] = locations_.try_emplace(address, locations_.size() + 1);
  if (added) {
    const Place& place = symbols.at(address);
    Message message;
    message.number(1, at->second);
    message.number(2, static_cast<uint64_t>(place.module + 1));
    message.number(3, address);
    if (!place.function.empty()) {
      Message line;
      line.number(1, function(place));
      line.number(2, static_cast<uint64_t>(place.line));
      message.bytes(4, line.text());
    }
    Message outer;
    outer.bytes(4, message.text());
    location_messages_ += outer.text();
  }
  return at->second;
}

void Pprof::write_mappings(Message& profile, const Symbols& symbols) {
  uint64_t number = 0;
  for (const Module& module : symbols.modules()) {
    Message message;
    message.number(1, ++number);
    message.number(2, module.lo);
    message.number(3, module.hi);
    message.number(4, module.offset);
    message.number(5, string(module.path));
    message.number(6, string(module.build_id));
    for (unsigned field = 7; field <= 9; ++field) message.number(field, 1);  // nothing to look up
    profile.bytes(3, message.text());
  }
}

std::string Pprof::finish() {
  Symbols symbols;
  std::vector<uintptr_t> addresses;
  for (const Sample& sample : samples_)
    addresses.insert(addresses.end(), sample.frames.begin(), sample.frames.end());
  symbols.resolve(std::move(addresses));

  Message profile;
  const auto unit = [this](const Unit& u) {
    Message message;
    message.number(1, string(u.first));
    message.number(2, string(u.second));
    return message.text();
  };
  for (const Unit& type : sample_types_) profile.bytes(1, unit(type));
  for (const Sample& sample : samples_) {
    Message message;
    std::vector<uint64_t> path;
    for (const uintptr_t frame : sample.frames) path.push_back(location(frame, symbols));
    message.packed(1, path);
    message.packed(2, sample.values);
    for (const auto& [key, value] : sample.labels) {
      Message label;
      label.number(1, key);
      label.number(2, value);
      message.bytes(3, label.text());
    }
    if (sample.bytes >= 0) {
      Message label;
      label.number(1, string("bytes"));
      label.number(3, static_cast<uint64_t>(sample.bytes));
      label.number(4, string("bytes"));
      message.bytes(3, label.text());
    }
    profile.bytes(2, message.text());
  }
  write_mappings(profile, symbols);
  profile.raw(location_messages_);
  profile.raw(function_messages_);
  profile.number(9, static_cast<uint64_t>(runtime::os::wall_ns()));
  profile.number(10, static_cast<uint64_t>(duration_ns_));
  profile.bytes(11, unit(period_type_));
  profile.number(12, static_cast<uint64_t>(period_));
  std::vector<uint64_t> comments;
  for (const std::string& comment : comments_) comments.push_back(string(comment));
  if (!comments.empty()) profile.packed(13, comments);
  profile.number(14, string(default_type_));
  // Last: everything above has added to it. Fields may come in any order.
  for (const std::string_view text : strings_) profile.bytes(6, text);
  return gzip(profile.text());
}

}  // namespace tricolor::observe
