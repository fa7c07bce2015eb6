"""Programs written once for all heaps and languages: bench/programs."""
from lab.case import Case, program_record
from lab.context import chosen_peers, program_point


def plan(context, twins):
    cases = []
    for name, entry in context.programs().items():
        if entry.get("program") == "mark":
            continue  # its figure is ns/object: the suite micro has it
        arguments = context.arguments(entry)
        main = ["wall s", "cpu s", "peak MB"]
        if entry.get("latency"):
            main += ["latency p99.9 us", "latency p99.99 us", "latency max us"]

        def prepare(_session, case, entry=entry, arguments=arguments):
            points = [program_point(context, twins, entry, peer, arguments) for peer in chosen_peers(context)]
            case.points = [point for point in points if point]

        cases.append(Case("programs", name, entry.get("title", name), [], context.runs, tuple(main),
                          limit_s=120 if context.quick else 900, arguments=tuple(arguments),
                          extract=program_record, prepare=prepare))
    return cases
