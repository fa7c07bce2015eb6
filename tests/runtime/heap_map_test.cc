// HeapMap: lookups need nothing that changes but what lies at a place computed from the address.
#include "runtime/heap/heap_map.h"

#include "runtime/os/os.h"
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

using tricolor::runtime::HeapMap;
namespace os = tricolor::runtime::os;

// [map.limit]
TEST_CASE("heap map: every address of the range may be looked up, described or not") {
  HeapMap map;
  REQUIRE(map.init());
  const std::size_t limit = map.limit();
  CHECK(limit == map.reserved_bytes());
  CHECK(map.described_bytes() == 0);
  const auto look = [&] {
    std::size_t found = 0;
    for (std::size_t at = 0; at < limit; at += limit / 512)
      found += map.find(map.base() + at) ? 1 : 0;
    return found + (map.find(map.base() + limit - 1) ? 1 : 0);
  };
  CHECK(look() == 0);
  CHECK(!map.find(map.base() - 1));
  CHECK(!map.find(map.base() + limit));
  REQUIRE(map.ensure_tables(1));
  CHECK(map.limit() == limit);
  CHECK(map.described_bytes() > 0);
  CHECK(map.described_bytes() < limit);
  CHECK(look() == 0);
}

TEST_CASE("heap map: a span is found once it is published, and no more when it is retired") {
  HeapMap map;
  REQUIRE(map.init());
  const auto last = static_cast<std::uint32_t>((map.limit() >> gc::detail::kPageShift) - 1);
  REQUIRE(map.ensure_tables(4));
  runtime::Span& span = *map.span_at(2);
  span.first_page = 2;
  span.pages = 2;
  span.size_class = gc::detail::kLargeClass;
  CHECK(!map.find(map.page_address(2)));
  map.publish_span(span);
  CHECK(map.find(map.page_address(3) + 5).span == &span);
  CHECK(!map.find(map.page_address(4)));
  CHECK(!map.find(map.page_address(last)));
  map.retire_span(span);
  CHECK(!map.find(map.page_address(2)));
}

}  // namespace
}  // namespace tricolor::tests
