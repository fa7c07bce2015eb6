#include "observe/debug_line.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace tricolor::observe {

namespace {

// Reads forwards; beyond the end everything is zero and ok() false.
class Reader {
 public:
  explicit Reader(std::string_view data) noexcept : data_(data) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return !ok_ || at_ >= data_.size(); }
  size_t at() const noexcept { return at_; }
  void seek(size_t at) noexcept {
    if (at > data_.size()) ok_ = false;
    at_ = std::min(at, data_.size());
  }
  void skip(uint64_t bytes) noexcept {
    if (bytes > data_.size() - at_) {
      ok_ = false;
      at_ = data_.size();
    } else {
      at_ += bytes;
    }
  }

  template <class T>
  T fixed() noexcept {
    T value{};
    if (sizeof(T) > data_.size() - at_) {
      ok_ = false;
      at_ = data_.size();
      return value;
    }
    std::memcpy(&value, data_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  uint64_t offset(bool wide) noexcept { return wide ? fixed<uint64_t>() : fixed<uint32_t>(); }
  uint64_t uleb() noexcept {
    uint64_t value = 0;
    for (unsigned shift = 0; !at_end(); shift += 7) {
      const auto byte = fixed<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  int64_t sleb() noexcept {
    uint64_t value = 0;
    unsigned shift = 0;
    while (!at_end()) {
      const auto byte = fixed<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      break;
    }
    return static_cast<int64_t>(value);
  }
  std::string_view string() noexcept {
    const size_t end = data_.find('\0', at_);
    if (end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view text = data_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

 private:
  std::string_view data_;
  size_t at_ = 0;
  bool ok_ = true;
};

std::string_view text_at(std::string_view section, uint64_t offset) noexcept {
  if (offset >= section.size()) return {};
  Reader reader(section);
  reader.seek(offset);
  return reader.string();
}

struct FileName {
  std::string_view name;
  uint64_t directory = 0;
};

struct Sections {
  std::string_view line;
  std::string_view line_strings;
  std::string_view strings;
};

// One unit's line program: its header, then the machine that runs it.
class Unit {
 public:
  Unit(const Sections& sections, std::string_view unit, bool wide)
      : sections_(sections), in_(unit), wide_(wide) {}

  void run(std::vector<SourceLine>& lines) {
    if (!read_header()) return;
    in_.seek(program_);
    while (!in_.at_end()) step(lines);
  }

 private:
  struct Row {
    uint64_t address = 0;
    uint64_t file = 1;
    int64_t line = 1;
  };

  bool read_header() {
    version_ = in_.fixed<uint16_t>();
    if (version_ < 2 || version_ > 5) return false;
    if (version_ >= 5) in_.skip(2);  // sizes of addresses and selectors
    const uint64_t length = in_.offset(wide_);
    program_ = in_.at() + length;
    least_ = in_.fixed<uint8_t>();
    if (version_ >= 4) in_.skip(1);  // operations an instruction
    in_.skip(1);                     // default_is_stmt
    line_base_ = in_.fixed<int8_t>();
    line_range_ = in_.fixed<uint8_t>();
    opcode_base_ = in_.fixed<uint8_t>();
    if (line_range_ == 0 || opcode_base_ == 0) return false;
    for (unsigned i = 1; i < opcode_base_; ++i) operands_[i] = in_.fixed<uint8_t>();
    if (version_ >= 5) {
      read_table(directories_);
      read_table(files_);
    } else {
      read_old_tables();
    }
    return in_.ok();
  }

  void read_old_tables() {
    directories_.push_back({});
    for (std::string_view name = in_.string(); !name.empty(); name = in_.string())
      directories_.push_back({name, 0});
    files_.push_back({});
    for (std::string_view name = in_.string(); !name.empty(); name = in_.string()) {
      const uint64_t directory = in_.uleb();
      in_.uleb();  // time
      in_.uleb();  // length
      files_.push_back({name, directory});
    }
  }

  void read_table(std::vector<FileName>& table) {
    constexpr size_t kMostFormats = 16;
    std::array<std::pair<uint64_t, uint64_t>, kMostFormats> formats{};
    const size_t count = in_.fixed<uint8_t>();
    for (size_t i = 0; i < count; ++i) {
      const std::pair<uint64_t, uint64_t> format{in_.uleb(), in_.uleb()};
      if (i < kMostFormats) formats[i] = format;
    }
    const uint64_t entries = in_.uleb();
    for (uint64_t e = 0; e < entries && in_.ok(); ++e) {
      FileName file;
      for (size_t i = 0; i < std::min(count, kMostFormats); ++i) {
        constexpr uint64_t kPath = 1;
        constexpr uint64_t kDirectory = 2;
        std::string_view text;
        const uint64_t value = read_form(formats[i].second, text);
        if (formats[i].first == kPath) file.name = text;
        if (formats[i].first == kDirectory) file.directory = value;
      }
      table.push_back(file);
    }
  }

  uint64_t read_form(uint64_t form, std::string_view& text) {
    switch (form) {
      case 0x08:  // string
        text = in_.string();
        return 0;
      case 0x1f:  // line_strp
        text = text_at(sections_.line_strings, in_.offset(wide_));
        return 0;
      case 0x0e:  // strp
        text = text_at(sections_.strings, in_.offset(wide_));
        return 0;
      case 0x0b:
        return in_.fixed<uint8_t>();
      case 0x05:
        return in_.fixed<uint16_t>();
      case 0x06:
        return in_.fixed<uint32_t>();
      case 0x07:
        return in_.fixed<uint64_t>();
      case 0x0f:
        return in_.uleb();
      case 0x1e:  // data16: a checksum
        in_.skip(16);
        return 0;
      case 0x09:  // block
        in_.skip(in_.uleb());
        return 0;
      default:  // one that no producer of line tables uses: its length is not known
        in_.seek(~size_t{0});
        return 0;
    }
  }

  void step(std::vector<SourceLine>& lines) {
    const unsigned opcode = in_.fixed<uint8_t>();
    if (opcode >= opcode_base_) {
      const unsigned adjusted = opcode - opcode_base_;
      row_.address += uint64_t{adjusted / line_range_} * least_;
      row_.line += line_base_ + static_cast<int>(adjusted % line_range_);
      emit(lines, false);
      return;
    }
    switch (opcode) {
      case 0:
        extended(lines);
        break;
      case 1:
        emit(lines, false);
        break;
      case 2:
        row_.address += in_.uleb() * least_;
        break;
      case 3:
        row_.line += in_.sleb();
        break;
      case 4:
        row_.file = in_.uleb();
        break;
      case 8:
        row_.address += uint64_t{(255u - opcode_base_) / line_range_} * least_;
        break;
      case 9:
        row_.address += in_.fixed<uint16_t>();
        break;
      default:
        for (unsigned i = 0; i < operands_[opcode]; ++i) in_.uleb();
    }
  }

  void extended(std::vector<SourceLine>& lines) {
    const uint64_t length = in_.uleb();
    const size_t begin = in_.at();
    const unsigned opcode = length == 0 ? 0u : in_.fixed<uint8_t>();
    if (opcode == 1) {
      emit(lines, true);
      row_ = {};
    } else if (opcode == 2) {
      row_.address = length == 9 ? in_.fixed<uint64_t>() : in_.fixed<uint32_t>();
    }
    in_.seek(begin + length);
  }

  // The row before covers the addresses up to this one.
  void emit(std::vector<SourceLine>& lines, bool ends) {
    // Address 0: code that the linker has dropped.
    if (has_last_ && last_.address != 0 && row_.address > last_.address) {
      auto at = std::lower_bound(
          lines.begin(), lines.end(), last_.address,
          [](const SourceLine& line, uint64_t address) { return line.address < address; });
      for (; at != lines.end() && at->address < row_.address; ++at) {
        if (last_.line <= 0 || last_.file >= files_.size()) continue;
        at->file = path_of(last_.file);
        at->line = static_cast<int>(last_.line);
      }
    }
    last_ = row_;
    has_last_ = !ends;
  }

  std::string path_of(uint64_t number) const {
    const FileName& file = files_[number];
    std::string path(file.name);
    for (uint64_t d = file.directory; !path.starts_with('/') && d < directories_.size(); d = 0) {
      if (!directories_[d].name.empty()) path = std::string(directories_[d].name) + "/" + path;
      if (d == 0) break;
    }
    return path;
  }

  const Sections& sections_;
  Reader in_;
  bool wide_;
  unsigned version_ = 0;
  size_t program_ = 0;
  unsigned least_ = 1;
  int line_base_ = 0;
  unsigned line_range_ = 1;
  unsigned opcode_base_ = 1;
  std::array<uint8_t, 256> operands_{};
  std::vector<FileName> directories_;
  std::vector<FileName> files_;
  Row row_;
  Row last_;
  bool has_last_ = false;
};

}  // namespace

void find_lines(const ElfFile& elf, std::vector<SourceLine>& lines) {
  const Sections sections{elf.section(".debug_line"), elf.section(".debug_line_str"),
                          elf.section(".debug_str")};
  Reader units(sections.line);
  while (!units.at_end()) {
    uint64_t length = units.fixed<uint32_t>();
    const bool wide = length == 0xffffffffu;
    if (wide) length = units.fixed<uint64_t>();
    const size_t begin = units.at();
    units.skip(length);
    if (!units.ok()) return;
    Unit(sections, sections.line.substr(begin, length), wide).run(lines);
  }
}

}  // namespace tricolor::observe
