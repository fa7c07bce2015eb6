#include "bench/micro/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {
namespace {

struct Contender {
  std::string name;
  std::vector<double> wall_ns;
  std::vector<double> cpu_ns;
};

struct Case {
  std::string name;
  std::vector<Contender> contenders;
};

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

// The contender of a benchmark called "case/contender".
Contender& contender_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::string case_name = name.substr(0, slash);
  const std::string contender = name.substr(slash + 1);
  auto c = std::find_if(cases().begin(), cases().end(),
                        [&](const Case& known) { return known.name == case_name; });
  if (c == cases().end()) c = cases().insert(c, Case{case_name, {}});
  auto& all = c->contenders;
  auto at = std::find_if(all.begin(), all.end(),
                         [&](const Contender& known) { return known.name == contender; });
  if (at == all.end()) at = all.insert(at, Contender{contender, {}, {}});
  return *at;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Gathers single runs; prints when everything has run, as repetitions of a case come interleaved.
class Reporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      if (run.error_occurred) {
        fmt::print(stderr, "{}: {}\n", run.benchmark_name(), run.error_message);
        failed_ = true;
        continue;
      }
      Contender& contender = contender_of(run.run_name.function_name);
      const auto counted = run.counters.find("operations");
      const double operations = counted == run.counters.end() ? static_cast<double>(run.iterations)
                                                              : counted->second.value;
      contender.wall_ns.push_back(run.real_accumulated_time * 1e9 / operations);
      contender.cpu_ns.push_back(run.cpu_accumulated_time * 1e9 / operations);
    }
  }

  void Finalize() override {
    for (const Case& c : cases()) {
      const Contender* first = nullptr;
      for (const Contender& contender : c.contenders) {
        if (contender.wall_ns.empty()) continue;  // filtered out
        fmt::print("{:<24} {:<10} {}   {}\n", first == nullptr ? c.name : "", contender.name,
                   figure("wall", contender.wall_ns, first == nullptr ? nullptr : &first->wall_ns),
                   figure("cpu", contender.cpu_ns, first == nullptr ? nullptr : &first->cpu_ns));
        if (first == nullptr) first = &contender;
      }
    }
  }

  // One line for tools: {"case/contender wall ns": median, ...}.
  static void print_json() {
    std::string line;
    for (const Case& c : cases()) {
      for (const Contender& contender : c.contenders) {
        if (contender.wall_ns.empty()) continue;
        line +=
            fmt::format(R"({}"{}/{} wall ns": {:.6g}, "{}/{} cpu ns": {:.6g})",
                        line.empty() ? "" : ", ", c.name, contender.name, median(contender.wall_ns),
                        c.name, contender.name, median(contender.cpu_ns));
      }
    }
    fmt::print("{{{}}}\n", line);
  }

  bool failed() const { return failed_; }

 private:
  static std::string figure(std::string_view what, const std::vector<double>& values,
                            const std::vector<double>* first) {
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    const std::string ratio =
        first == nullptr ? "" : fmt::format("x{:.2f}", median(values) / median(*first));
    return fmt::format("{} {:7.2f} ns {:<20} {:<7}", what, median(values),
                       fmt::format("[{:.2f} .. {:.2f}]", *least, *greatest), ratio);
  }

  bool failed_ = false;
};

}  // namespace

void add_contender(const std::string& case_name, const std::string& contender,
                   std::function<void(benchmark::State&)> run, Timing timing) {
  const std::string name = case_name + "/" + contender;
  contender_of(name);
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), std::move(run));
  added->MeasureProcessCPUTime();
  if (timing == Timing::kManual) {
    added->UseManualTime();
  } else {
    added->UseRealTime();
  }
}

int compare_main(int argc, char** argv) {
  std::vector<std::string> arguments(argv, argv + 1);
  const auto has = [&](std::string_view wanted) {
    return std::any_of(argv + 1, argv + argc,
                       [&](std::string_view argument) { return argument == wanted; });
  };
  const bool quick = has("--quick");
  const bool json = has("--json");
  const char* const repetitions = json ? "1" : quick ? "3" : "7";
  arguments.emplace_back("--benchmark_enable_random_interleaving=true");
  arguments.emplace_back(fmt::format("--benchmark_repetitions={}", repetitions));
  arguments.emplace_back(quick ? "--benchmark_min_time=0.02" : "--benchmark_min_time=0.2");
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument != "--quick" && argument != "--json") arguments.emplace_back(argument);
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  if (json) Reporter::print_json();
  return reporter.failed() ? 1 : 0;
}

}  // namespace bench
