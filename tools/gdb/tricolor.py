"""tricolor in gdb: what keeps an object alive, what is on the heap.

    (gdb) source tricolor.py
    (gdb) tricolor why node            an address, or any expression that is a pointer
    (gdb) tricolor stacks              what a pointer in some frame keeps, and nothing else does
    (gdb) tricolor histogram
    (gdb) tricolor snapshot heap.heapsnapshot

The program must be alive and stopped: its own functions are called, and they collect, so all of its threads run for
that moment. Breakpoints are off meanwhile.
"""
import re

import gdb

IN_MALLOC = re.compile(r"^(__libc_)?(malloc|free|calloc|realloc|_int_\w+|sysmalloc|tcache_\w+|malloc_consolidate)$")


class Refused(gdb.GdbError):
    pass


def frames():
    frame = gdb.newest_frame()
    while frame is not None:
        yield frame
        frame = frame.older()


def call(function, signature, argument):
    if gdb.selected_thread() is None:
        raise Refused("The program is not being run.")
    if any(frame.name() and IN_MALLOC.match(frame.name()) for frame in frames()):
        raise Refused("This thread stands inside malloc: choose another, or let it go on first (finish).")
    try:
        gdb.parse_and_eval(f"(void*)&{function}")
    except gdb.error as error:
        raise Refused(f"{function} is not in the program: link the shared library, or refer to it.") from error
    stops = [stop for stop in gdb.breakpoints() or () if stop.enabled]
    for stop in stops:
        stop.enabled = False
    try:
        text = gdb.parse_and_eval(f"((const char* (*)({signature}))&{function})({argument})").string()
    finally:
        for stop in stops:
            stop.enabled = True
    if text.startswith("error: "):
        raise Refused(text[len("error: "):].strip())
    return text


def line_of(code):
    place = gdb.find_pc_line(code - 1)  # a return address may lie behind its line
    return f"{place.symtab.filename}:{place.line}" if place.symtab else None


def thread_of(tid):
    return next((thread for thread in gdb.selected_inferior().threads() if tid in thread.ptid), None)


def variable_at(frame, word):
    """The variable of the frame, or of an argument, that lies at the address."""
    try:
        block = frame.block()
    except RuntimeError:
        return None
    while block is not None:
        for symbol in block:
            if not (symbol.is_variable or symbol.is_argument) or not symbol.needs_frame:
                continue
            try:
                value = symbol.value(frame)
                if value.is_optimized_out or value.address is None:
                    continue
                start = int(value.address)
            except (gdb.error, RuntimeError):
                continue
            if start <= word < start + value.type.sizeof:
                return symbol.name
        if block.function is not None:
            return None
        block = block.superblock
    return None


def describe_word(word, tid, code):
    """What gdb knows of a stack word, in one line; None: nothing."""
    thread = thread_of(tid)
    if thread is None:
        return None
    chosen, chosen_frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        thread.switch()
        for frame in frames():
            older = frame.older()
            if older is None or not int(frame.read_register("sp")) <= word < int(older.read_register("sp")):
                continue
            where = line_of(int(frame.pc()) + (0 if frame.level() == 0 else 1)) or frame.name()
            # Frames that were inlined share the words of the one that they are in.
            names = [name for name in (variable_at(frame, word), variable_at(older, word)
                                       if frame.type() == gdb.INLINE_FRAME else None) if name]
            if names:
                return f"the word is the variable {names[0]}, at {where}"
            return f"no variable lies there now, at {where}: left by an earlier one, or a register that was saved"
    finally:
        chosen.switch()
        chosen_frame.select()
    where = line_of(code) if code else None
    return f"at {where}" if where else None


class Tricolor(gdb.Command):
    """What is on the garbage-collected heap, and why."""

    def __init__(self):
        super().__init__("tricolor", gdb.COMMAND_DATA, prefix=True)


class Why(gdb.Command):
    """tricolor why POINTER: a path from a root to the object that it points into."""

    def __init__(self):
        super().__init__("tricolor why", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise Refused("Which object? tricolor why POINTER")
        address = int(gdb.parse_and_eval(f"(unsigned long)({argument})"))
        text = call("tricolor_why", "const void*", f"(const void*){address:#x}")
        found = re.search(r"^word (\S+) of thread (\d+) code (\S+)\n", text, re.MULTILINE)
        if found:
            text = text.replace(found.group(0), "")
            word, code = (int(value, 16) if value.startswith("0x") else 0 for value in found.group(1, 3))
            more = describe_word(word, int(found.group(2)), code)
            if more:
                text += f"  ({more})\n"
        gdb.write(text)


class Stacks(gdb.Command):
    """tricolor stacks: what words of stacks keep alive that no root leads to, by bytes."""

    def __init__(self):
        super().__init__("tricolor stacks", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        gdb.write(call("tricolor_stacks", "void", ""))


class Histogram(gdb.Command):
    """tricolor histogram: the types of what is reachable, by bytes."""

    def __init__(self):
        super().__init__("tricolor histogram", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        gdb.write(call("tricolor_histogram", "void", ""))


class Snapshot(gdb.Command):
    """tricolor snapshot PATH: writes a .heapsnapshot, for Chrome DevTools and tools/heap."""

    def __init__(self):
        super().__init__("tricolor snapshot", gdb.COMMAND_DATA, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        if not argument:
            raise Refused("Where to? tricolor snapshot PATH")
        path = argument.replace("\\", "\\\\").replace('"', '\\"')
        gdb.write(call("tricolor_snapshot", "const char*", f'"{path}"'))


Tricolor()
Why()
Stacks()
Histogram()
Snapshot()
