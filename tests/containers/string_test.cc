// gc::string: random operations against std::string, while another thread collects back to back.
#include "tests/containers/container_support.hpp"

#include <sstream>
#include <string_view>

namespace tricolor::tests {
namespace {

TEST_CASE("string: random operations as std::string's") {
  Random random(announce_seed("string"));
  CollectingThread collecting;
  gc::root<Holder<gc::string>> holder = gc::make<Holder<gc::string>>();
  std::string expected;
  const auto text = [&random] {
    std::string s(random.below(random.one_in(10) ? 200 : 12), ' ');
    for (char& ch : s) ch = static_cast<char>('a' + random.below(26));
    return s;
  };
  for (std::size_t step = 0; step < scaled(20000); ++step) {
    gc::string& s = holder->c;
    const std::size_t at = random.below(expected.size() + 1);
    const std::size_t count = random.below(10);
    const std::string t = text();
    switch (random.below(expected.size() > 500 ? 16 : 14)) {
      case 0:
        s += t;
        expected += t;
        break;
      case 1:
        s.push_back('q');
        expected.push_back('q');
        break;
      case 2:
        s.insert(at, t);
        expected.insert(at, t);
        break;
      case 3:
        s.erase(at, count);
        expected.erase(at, count);
        break;
      case 4:
        s.replace(at, count, t);
        expected.replace(at, count, t);
        break;
      case 5:
        s.resize(at);
        expected.resize(at);
        break;
      case 6:
        s.assign(t);
        expected.assign(t);
        break;
      case 7:
        s.insert(at, s);
        expected.insert(at, std::string(expected));
        break;
      case 8: {  // a part of itself
        const std::string_view part = std::string_view(s).substr(at, count);
        const std::string own = expected.substr(at, count);
        s.replace(at / 2, count, part);
        expected.replace(at / 2, count, own);
        break;
      }
      case 9:
        s = s.substr(at);
        expected = expected.substr(at);
        break;
      case 10:
        s.append(count, 'z');
        expected.append(count, 'z');
        break;
      case 11: {
        gc::string other(t.c_str());
        swap(other, s);
        MUST(std::string_view(other) == expected);
        MUST(std::string_view(s) == t);
        s = std::move(other);
        break;
      }
      case 12:
        s.shrink_to_fit();
        s.reserve(at);
        break;
      case 13:
        MUST(s.find(t.substr(0, 2)) == expected.find(t.substr(0, 2)));
        MUST(s.rfind('a') == expected.rfind('a'));
        MUST((s < gc::string(t.c_str())) == (expected < t));
        MUST((s == t) == (expected == t));
        break;
      default:
        s.clear();
        expected.clear();
    }
    if (std::string_view(s) != expected) FAIL("step " << step << ": " << s << " for " << expected);
    MUST(s.c_str()[s.size()] == '\0');
    MUST(s.size() <= s.capacity());
  }
  collecting.stop();
}

TEST_CASE("string: streams, concatenation, hash and bounds") {
  gc::string s = gc::string("one") + " " + gc::string("two") + '!';
  std::ostringstream out;
  out << s;
  CHECK(out.str() == "one two!");
  std::istringstream in("word and a line\nnext");
  gc::string word, line;
  in >> word;
  getline(in, line);
  CHECK(word == "word");
  CHECK(line == " and a line");
  CHECK(std::hash<gc::string>{}(s) == std::hash<std::string_view>{}("one two!"));
  CHECK_THROWS_AS((void)s.at(8), std::out_of_range);
  CHECK_THROWS_AS((void)s.substr(9), std::out_of_range);
  CHECK_THROWS_AS(s.insert(9, "x"), std::out_of_range);
  CHECK_THROWS_AS(s.reserve(s.max_size() + 1), std::length_error);
  CHECK_THROWS_AS(s.append(s.max_size(), 'x'), std::length_error);
  CHECK(std::is_trivially_destructible_v<gc::string>);
  CHECK(s == "one two!");
}

}  // namespace
}  // namespace tricolor::tests
