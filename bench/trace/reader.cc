#include "bench/trace/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bench/trace/error.h"

namespace bench::trace {

Reader::Reader(std::unique_ptr<Source> source) : source_(std::move(source)) {
  read_header();
  read_chunk_headers();
}

void Reader::read_header() {
  std::array<std::byte, kFileHeaderBytes> fixed;
  if (!source_->read_at(0, fixed)) {
    throw TraceError(name(), 0,
                     fmt::format("expected the header of a trace ({} bytes), the file has {}",
                                 kFileHeaderBytes, source_->size()));
  }
  if (std::memcmp(fixed.data(), kFileMagic, sizeof kFileMagic) != 0) {
    throw TraceError(name(), 0, "expected the magic bytes of a trace (89 'TCT' 0d 0a 1a 0a)");
  }
  const auto version = get_fixed<uint32_t>(fixed.data() + 8);
  if (version != kVersion) {
    throw TraceError(name(), 8, fmt::format("expected version {}, found {}", kVersion, version));
  }
  flags_ = get_fixed<uint32_t>(fixed.data() + 12);
  const auto text_bytes = get_fixed<uint32_t>(fixed.data() + 16);
  if (text_bytes > kMaxText) {
    throw TraceError(
        name(), 16,
        fmt::format("expected at most {} bytes of text, found {}", kMaxText, text_bytes));
  }
  std::vector<std::byte> whole(kFileHeaderBytes + text_bytes + 4);
  if (!source_->read_at(0, whole)) {
    throw TraceError(name(), source_->size(),
                     fmt::format("expected a header of {} bytes, the file ends", whole.size()));
  }
  const auto stored = get_fixed<uint32_t>(whole.data() + whole.size() - 4);
  const uint32_t crc = crc32c(whole.data(), whole.size() - 4);
  if (stored != crc) {
    throw TraceError(
        name(), whole.size() - 4,
        fmt::format("expected the header's checksum {:08x}, found {:08x}", crc, stored));
  }
  if ((flags_ & ~uint32_t{kAllFlags}) != 0) {
    throw TraceError(name(), 12, fmt::format("expected known flags, found {:x}", flags_));
  }
  text_.assign(reinterpret_cast<const char*>(whole.data()) + kFileHeaderBytes, text_bytes);
  first_chunk_ = whole.size();
}

void Reader::read_chunk_headers() {
  uint64_t at = first_chunk_;
  for (;;) {
    std::array<std::byte, kChunkHeaderBytes> bytes;
    static_assert(kChunkHeaderBytes == kFooterBytes);
    if (!source_->read_at(at, bytes)) {
      throw TraceError(
          name(), at,
          fmt::format("expected a chunk or the closing record ({} bytes), the file ends at {}: "
                      "the recording was cut off",
                      kFooterBytes, source_->size()));
    }
    const auto magic = get_fixed<uint32_t>(bytes.data());
    if (magic != kChunkMagic && magic != kFooterMagic) {
      throw TraceError(
          name(), at,
          fmt::format("expected 'CHNK' or 'TEND', found {:08x}: the file is damaged", magic));
    }
    const auto stored = get_fixed<uint32_t>(bytes.data() + bytes.size() - 4);
    const uint32_t crc = crc32c(bytes.data(), bytes.size() - 4);
    if (stored != crc) {
      throw TraceError(
          name(), at,
          fmt::format("expected a record with checksum {:08x}, found {:08x}: the file is "
                      "damaged",
                      crc, stored));
    }
    if (magic == kFooterMagic) break;

    ChunkPlace place;
    place.offset = at;
    ChunkHeader& header = place.header;
    header.thread = get_fixed<uint32_t>(bytes.data() + 4);
    header.first_ticket = get_fixed<uint64_t>(bytes.data() + 8);
    header.events = get_fixed<uint32_t>(bytes.data() + 16);
    header.order_bytes = get_fixed<uint32_t>(bytes.data() + 20);
    header.raw_bytes = get_fixed<uint32_t>(bytes.data() + 24);
    header.packed_bytes = get_fixed<uint32_t>(bytes.data() + 28);
    header.payload_crc = get_fixed<uint32_t>(bytes.data() + 32);
    if (header.raw_bytes > kMaxRawBytes || header.order_bytes > header.raw_bytes ||
        header.packed_bytes > kMaxRawBytes + kMaxRawBytes / 8 || header.events == 0 ||
        header.events > header.raw_bytes) {
      throw TraceError(
          name(), at,
          fmt::format("expected a chunk of at most {} bytes with 1 event or more, found {} "
                      "events, {} order bytes, {} raw and {} packed bytes",
                      kMaxRawBytes, header.events, header.order_bytes, header.raw_bytes,
                      header.packed_bytes));
    }
    if (header.packed_bytes > source_->size() - at - kChunkHeaderBytes) {
      throw TraceError(name(), at,
                       fmt::format("expected a chunk of {} bytes, the file ends at {}: the "
                                   "recording was cut off",
                                   kChunkHeaderBytes + header.packed_bytes, source_->size()));
    }
    places_.push_back(place);
    at += kChunkHeaderBytes + header.packed_bytes;
  }
  read_footer(at);
  std::stable_sort(places_.begin(), places_.end(), [](const ChunkPlace& a, const ChunkPlace& b) {
    return a.header.first_ticket < b.header.first_ticket;
  });
}

void Reader::read_footer(uint64_t offset) {
  footer_at_ = offset;
  std::array<std::byte, kFooterBytes> bytes;
  source_->read_at(offset, bytes);
  footer_.chunks = get_fixed<uint32_t>(bytes.data() + 4);
  footer_.events = get_fixed<uint64_t>(bytes.data() + 8);
  footer_.objects = get_fixed<uint64_t>(bytes.data() + 16);
  footer_.unplaced = get_fixed<uint64_t>(bytes.data() + 24);
  if (offset + kFooterBytes != source_->size()) {
    throw TraceError(name(), offset + kFooterBytes,
                     fmt::format("expected the end of the file, found {} more bytes",
                                 source_->size() - offset - kFooterBytes));
  }
  uint64_t events = 0;
  for (const ChunkPlace& place : places_) events += place.header.events;
  if (footer_.chunks != places_.size() || footer_.events != events) {
    throw TraceError(
        name(), offset,
        fmt::format("expected {} chunks with {} events as the closing record says, found {} "
                    "with {}",
                    footer_.chunks, footer_.events, places_.size(), events));
  }
}

std::string Reader::property(const std::string& key) const {
  size_t line = 0;
  while (line < text_.size()) {
    const size_t end = std::min(text_.find('\n', line), text_.size());
    const size_t equals = text_.find('=', line);
    if (equals < end && text_.compare(line, equals - line, key) == 0) {
      return text_.substr(equals + 1, end - equals - 1);
    }
    line = end + 1;
  }
  return {};
}

// [reader.dense] Makes current_ the cursor whose next ticket is index_.events().
void Reader::select_cursor() {
  const uint64_t wanted = index_.events();
  if (current_ != nullptr) {
    if (!current_->at_end()) {
      const uint64_t ticket = current_->ticket();
      if (ticket == wanted) return;
      waiting_.push_back({ticket, std::move(current_)});
      std::push_heap(waiting_.begin(), waiting_.end(), is_later);
    }
    current_.reset();
  }
  if (next_place_ < places_.size() && places_[next_place_].header.first_ticket == wanted) {
    current_ = std::make_unique<ChunkCursor>(*source_, places_[next_place_++]);
    return;
  }
  if (!waiting_.empty() && waiting_.front().ticket == wanted) {
    std::pop_heap(waiting_.begin(), waiting_.end(), is_later);
    current_ = std::move(waiting_.back().cursor);
    waiting_.pop_back();
    return;
  }
  throw TraceError(
      name(), footer_at_,
      fmt::format("expected an event with ticket {} in some chunk (of {} events), found none: "
                  "tickets are missing or repeated",
                  wanted, footer_.events));
}

bool Reader::next(Event& event) {
  if (index_.events() == footer_.events) {
    if (index_.objects() != footer_.objects) {
      throw TraceError(name(), footer_at_,
                       fmt::format("expected {} objects as the closing record says, found {}",
                                   footer_.objects, index_.objects()));
    }
    return false;
  }
  select_cursor();
  Ages ages;
  current_->next(event, ages);
  check(event, ages);
  return true;
}

// [reader.objects]
uint64_t Reader::resolve(uint64_t age, const char* what) const {
  const uint64_t ticket = index_.events() - age;
  const auto object = index_.object_of(ticket);
  if (!object) {
    fail(fmt::format("expected {} to be an object, event {} ({} before) allocated none", what,
                     ticket, age));
  }
  if (index_.has_ended(*object)) {
    fail(fmt::format("expected {} to be alive, object {} has ended before", what, *object));
  }
  return *object;
}

void Reader::check(Event& event, const Ages& ages) {
  if (ages.object != 0) event.object = resolve(ages.object, "the object");
  if (ages.target != 0) event.target = resolve(ages.target, "the target");
  if (event.kind == Kind::kFree || event.kind == Kind::kDeath) index_.end(event.object);
  if (event.kind == Kind::kRealloc) index_.end(event.target);
  if (event.kind == Kind::kTypeDef && !types_.emplace(event.type.number, event.type).second) {
    fail(fmt::format("expected type {} to be defined once, found a second definition",
                     event.type.number));
  }
  if (event.kind == Kind::kAllocTyped) {
    const TypeInfo* info = type(event.number);
    if (info == nullptr) fail(fmt::format("expected type {} to be defined before", event.number));
    if (info->bytes != 0 && event.amount > kMaxObjectBytes / info->bytes) {
      fail(fmt::format("expected an array of at most {} bytes, found {} elements of {}",
                       kMaxObjectBytes, event.amount, info->bytes));
    }
  }
  if (makes_object(event.kind)) event.object = index_.objects();
  index_.append(makes_object(event.kind));
}

const TypeInfo* Reader::type(uint64_t number) const {
  const auto found = types_.find(number);
  return found == types_.end() ? nullptr : &found->second;
}

void Reader::fail(const std::string& problem) const {
  if (current_ == nullptr) throw TraceError(name(), problem);
  current_->fail(problem);
}

}  // namespace bench::trace
