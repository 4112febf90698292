"""Makes the memory of a zygote such that its forks write to little of it: what they do not write to, they share with it.

A fork writes where it makes objects, where it does something for the first time, and wherever it counts references. So
the zygote does once what each fork will do; it fills what is free within the pages that it has used, so that what a fork
makes lies together in pages of its own; and where the interpreter knows objects whose references are not counted, it
makes all of its objects such.
"""

import __main__ as bootstrap
import ctypes
import gc
import os
import select
import sys

LIBC = ctypes.CDLL(None)
EVENTS = 20
EVENT = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: %d\r\n"
    b"lambda-runtime-deadline-ms: 0\r\nlambda-runtime-invoked-function-arn: arn:aws:lambda\r\n"
    b'lambda-runtime-trace-id: Root=%d\r\ncontent-length: 18\r\n\r\n{"name":"lambent"}'
)
# How long a fork waits for its function before it rehearses, ms: one that is in a hurry comes at once.
PAUSE_MS = 5
# Whether this interpreter has objects whose references are not counted, and says so where we look.
CAN_STOP_COUNTING = sys.version_info >= (3, 12) and "t" not in sys.abiflags and ctypes.c_uint32.from_address(id(None)).value >= 1 << 31
# What an object of the interpreter's own allocator may take, and the pools that it parts, bytes (Objects/obmalloc.c).
STEP, MOST, POOL = 16, 512, 4096 if sys.version_info < (3, 10) else 16384
# What the C library puts before a block, and what blocks are multiples of.
BEFORE, UNIT = 8, 16
# Nothing of these is ever used or given back.
FILLING = []


class Over(BaseException):
    """All events have been served."""


class Stage(bootstrap.Channel):
    """The Runtime API with a few events and nobody behind it."""

    def __init__(self):
        import _socket

        ours, self.theirs = _socket.socketpair()
        bootstrap.Channel.__init__(self, "127.0.0.1:9001", ours.detach())
        self.left = EVENTS
        for n in range(EVENTS):
            self.theirs.send(EVENT % (n, n // 2))

    def receive(self):
        if not self.left:
            raise Over
        self.left -= 1
        return bootstrap.Channel.receive(self)


def settle():
    """Called once, before the first fork."""
    rehearse()
    gc.collect()
    stop_counting()
    fill_objects()
    fill_blocks()
    gc.freeze()


def rehearse():
    """Does what forks do. What it leaves is only that all of it has been done before."""
    import json
    import logging

    bootstrap.json = json
    words = [os.fsencode(os.getcwd()), *(b"%s=%s" % pair for pair in os.environb.items()), b""]
    bootstrap.become(words)
    sys.dont_write_bytecode = True
    bootstrap.make_way(sys.path[:1])
    bootstrap.LambdaContext.describe()
    piece("logs")["install"](logging)
    sys.path_importer_cache.pop(sys.path[0], None)
    channel, marshaller = Stage(), bootstrap.Marshaller()
    try:
        bootstrap.serve(bootstrap.find_handler("rehearsal.handler"), channel, marshaller)
    except Over:
        pass
    channel.socket.close()
    channel.theirs.close()
    del sys.modules["rehearsal"]
    bootstrap.become(words)
    bootstrap.state.request_id = bootstrap.state.tenant_id = None


def rehearse_once_more():
    """In a fork that waits for its function: does what that is about to do. What a fork writes to is copied, and now before
    anybody waits for it. Some of that the function would never have written to: without an SDK only where forks are small."""
    if not CAN_STOP_COUNTING and "sdk" not in bootstrap._PIECES:
        return
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    if waiting.poll(PAUSE_MS):
        return
    rehearse()
    if "sdk" in bootstrap._PIECES:
        piece("sdk")["rehearse"]()
    gc.collect()


def stop_counting():
    """Marks all objects as the interpreter marks `None` (from 3.12 on, PEP 683): they are never freed, and who refers to
    one does not write to it."""
    if not CAN_STOP_COUNTING:
        return
    mark = ctypes.c_uint32.from_address(id(None)).value
    # The first four bytes of an object count its references.
    counts = memoryview((ctypes.c_uint32 * (1 << 46)).from_address(0)).cast("B").cast("I")
    code = type(stop_counting.__code__)
    level = gc.get_objects()
    places = set(map(id, level))
    # What the collector does not know of is found through what it knows.
    while level:
        inner = gc.get_referents(*level)
        for one in level:
            if type(one) is code:
                inner += one.co_consts, one.co_names, one.co_filename, one.co_name, one.co_qualname, one.co_linetable
        inside = [one for one in inner if type(one) in (tuple, dict, code) and id(one) not in places]
        places.update(map(id, inner))
        level = list({id(one): one for one in inside}.values())
    for place in places:
        counts[place >> 2] = mark


def fill_objects():
    """Fills the used pools of the interpreter's allocator."""
    about = sys.getsizeof(b"")
    for size in range(about // STEP * STEP + STEP, MOST + 1, STEP):
        for _ in range(100000):
            block = bytes(size - about)
            # The first of a pool that was empty: all others are full.
            if id(block) % POOL < 64:
                break
            FILLING.append(block)


def fill_blocks():
    """Fills the holes of the C library's heap, from the largest to the smallest. Only of glibc it is known how."""
    if not hasattr(LIBC, "gnu_get_libc_version"):
        return
    malloc, free = LIBC.malloc, LIBC.free
    malloc.argtypes, malloc.restype, free.argtypes = [ctypes.c_size_t], ctypes.c_void_p, [ctypes.c_void_p]
    size = 1 << 16
    while size >= BEFORE + UNIT:
        for _ in range(1000):
            one, next = malloc(size), malloc(size)
            if next - one == (size + BEFORE + UNIT - 1) // UNIT * UNIT:
                # Both were cut from what follows all that is used.
                free(next)
                free(one)
                break
        size = size * 3 // 4 if size > 1024 else size - UNIT
