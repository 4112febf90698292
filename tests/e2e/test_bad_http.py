"""What clients must not do to HTTP. Each gets a clean answer or a closed connection; afterwards the server answers, and holds nothing of them."""

import os
import socket
import ssl
import time

import pytest
from h2.connection import H2Connection
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from bad_http import Two, connect, descriptors, drain, exchange, reset, resident_mib, statuses
from platform_under_test import eventually

PATIENCE = 1.5
LARGE = 24 << 20
GET = "GET /_lambent/health HTTP/1.1\r\n"
POST = "POST /2015-03-31/functions/none/invocations HTTP/1.1\r\n"
HOST = "Host: localhost\r\n"
# What a confused proxy would take for a request of its own: it must never be answered.
NEXT = "GET /_lambent/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(workspace):
    from platform_under_test import Platform

    data = workspace / "bad-http"
    data.mkdir()
    running = Platform(data, "--test-controls", "--patience", str(int(PATIENCE * 1000)), "--prepared", "0")
    store = running.client("s3")
    store.create_bucket(Bucket="large")
    store.put_object(Bucket="large", Key="k", Body=os.urandom(LARGE))
    running.ca = running.authority
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def nothing_is_held(server):
    """The server still answers, and holds no socket more than before; and its memory stays within bounds."""
    eventually(lambda: descriptors(server), lambda now: now <= 20, 10)
    before = descriptors(server)
    yield
    assert statuses(exchange(server, f"{GET}{HOST}Connection: close\r\n\r\n".encode())) == [200]
    after = eventually(lambda: descriptors(server), lambda now: now <= before, 4 * PATIENCE)
    assert after <= before, "sockets are left"
    assert resident_mib(server) < 400

# Taken as chunked, and the last of its connection: RFC 9112, section 6.3.
LAST = 404


ONE = {
    "both lengths, chunked first": (f"{POST}{HOST}{CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n{NEXT}", LAST),
    "both lengths, length first": (f"{POST}{HOST}Content-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n{NEXT}", LAST),
    "two different lengths": (f"{POST}{HOST}Content-Length: 0\r\nContent-Length: 5\r\n\r\n{NEXT}", 400),
    "lengths in one line": (f"{POST}{HOST}Content-Length: 2, 2\r\n\r\n{{}}{NEXT}", 400),
    "a signed length": (f"{POST}{HOST}Content-Length: +2\r\n\r\n{{}}{NEXT}", 400),
    "a negative length": (f"{POST}{HOST}Content-Length: -1\r\n\r\n{NEXT}", 400),
    "a length in hexadecimal": (f"{POST}{HOST}Content-Length: 0x2\r\n\r\n{{}}{NEXT}", 400),
    "a length beyond 64 bits": (f"{POST}{HOST}Content-Length: 99999999999999999999\r\n\r\n{NEXT}", 400),
    "an unknown coding": (f"{POST}{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{NEXT}", 400),
    "chunked is not last": (f"{POST}{HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{NEXT}", 400),
    "a coding before chunked": (f"{POST}{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{NEXT}", 501),
    "chunked twice": (f"{POST}{HOST}{CHUNKED}{CHUNKED}\r\n0\r\n\r\n{NEXT}", 400),
    "a control character after chunked": (f"{POST}{HOST}Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n{NEXT}", 400),
    "quoted chunked": (f'{POST}{HOST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n{NEXT}', 400),
    "chunked in HTTP/1.0": (f"{POST.replace('1.1', '1.0')}{HOST}{CHUNKED}\r\n0\r\n\r\n{NEXT}", 400),
    "space before the colon": (f"{POST}{HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{NEXT}", 400),
    "a folded header": (f"{GET}{HOST}X-A: b\r\n c\r\n\r\n{NEXT}", 400),
    "a folded coding": (f"{POST}{HOST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{NEXT}", 400),
    "NUL in a value": (f"{GET}{HOST}X-A: b\0c\r\n\r\n{NEXT}", 400),
    "NUL in a name": (f"{GET}{HOST}X-\0A: b\r\n\r\n{NEXT}", 400),
    "a bare CR in a value": (f"{GET}{HOST}X-A: b\rContent-Length: 5\r\n\r\n{NEXT}", 400),
    "a header without a colon": (f"{GET}{HOST}nonsense\r\n\r\n{NEXT}", 400),
    "a space in the target": (f"GET /a b HTTP/1.1\r\n{HOST}\r\n{NEXT}", 400),
    "an unknown version": (f"GET / HTTP/1.9\r\n{HOST}\r\n{NEXT}", 400),
    "no Host": (f"{GET}\r\n{NEXT}", 400),
    "two Hosts": (f"{GET}{HOST}Host: evil.example\r\n\r\n{NEXT}", 400),
    "the same Host twice": (f"{GET}{HOST}{HOST}\r\n{NEXT}", 400),
    "a Host with a path": (f"{GET}Host: localhost/x\r\n\r\n{NEXT}", 400),
    "a target of another host": (f"GET http://evil.example/ HTTP/1.1\r\n{HOST}\r\n{NEXT}", 400),
    "a chunk size beyond 64 bits": (f"{POST}{HOST}{CHUNKED}\r\nfffffffffffffffff\r\n{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a negative chunk size": (f"{POST}{HOST}{CHUNKED}\r\n-2\r\n{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a chunk size with a prefix": (f"{POST}{HOST}{CHUNKED}\r\n0x2\r\n{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a chunk longer than its size": (f"{POST}{HOST}{CHUNKED}\r\n2\r\n{{}}{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a chunk size that a bare LF ends": (f"{POST}{HOST}{CHUNKED}\r\n2\n{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a chunk that a bare LF ends": (f"{POST}{HOST}{CHUNKED}\r\n2\r\n{{}}\n0\r\n\r\n{NEXT}", 400),
    "a flood of chunk extensions": (f"{POST}{HOST}{CHUNKED}\r\n2;{'a=b;' * 50_000}\r\n{{}}\r\n0\r\n\r\n{NEXT}", 400),
    "a flood of extended chunks": (f"{POST}{HOST}{CHUNKED}\r\n" + "1;aaaaaaaaaaaaaaaa\r\n1\r\n" * 20_000 + f"0\r\n\r\n{NEXT}", 400),
    "a flood of trailers": (f"{POST}{HOST}{CHUNKED}\r\n0\r\n" + "X-T: 1\r\n" * 50_000 + f"\r\n{NEXT}", 400),
    "a long request line": (f"GET /{'a' * 70_000} HTTP/1.1\r\n{HOST}\r\n{NEXT}", {414, 431}),
    "a long header": (f"{GET}{HOST}X-A: {'a' * 70_000}\r\n\r\n{NEXT}", 431),
    "many headers": (f"{GET}{HOST}{''.join(f'X-{n}: 1{chr(13)}{chr(10)}' for n in range(500))}\r\n{NEXT}", 431),
    "a body too large": (f"{POST}{HOST}Content-Length: 999999999\r\n\r\n", 413),
    "the preface of HTTP/2, broken": ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", {400, None}),
    "a handshake of nothing": ("SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_a_request_that_may_be_read_in_two_ways_is_refused(server, name):
    sent, expected = ONE[name]
    answer = exchange(server, sent.encode("latin-1"))
    found = statuses(answer)
    expected = expected if isinstance(expected, set) else {expected}
    assert len(found) <= 1 and (found or [None])[0] in expected, (found, answer[:600])
    assert b"smuggled" not in answer


def test_the_same_length_twice_is_one_length(server):
    twice = f"{POST}{HOST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}{GET}{HOST}Connection: close\r\n\r\n"
    assert statuses(exchange(server, twice.encode())) == [404, 200]


def test_line_ends_without_cr_hide_no_second_request(server):
    """RFC 9112, section 2.2, lets a server take a bare LF for the end of a line: nobody between may read it otherwise."""
    answer = exchange(server, f"{GET}Host: localhost\nConnection: close\n\n{NEXT}".encode())
    assert len(statuses(answer)) == 1 and b"smuggled" not in answer


def test_a_target_with_its_own_host_is_a_request_as_any(server):
    target = f"GET http://localhost:{server.port}/_lambent/health HTTP/1.1\r\nHost: localhost:{server.port}\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(server, target.encode())) == [200]


def test_requests_that_are_sent_together_are_answered_in_order(server):
    both = f"{GET}{HOST}\r\nGET /_lambent/smuggled HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"
    assert statuses(exchange(server, both.encode())) == [200, 404]


SLOW = {
    "nothing at all": ([b""], None),
    "a head that never ends": ([GET.encode(), HOST.encode()], None),
    "a head that comes byte by byte": ([bytes([byte]) for byte in f"{GET}{HOST}X-Long: {'a' * 60}".encode()], None),
    "a body that never comes": ([f"{POST}{HOST}Content-Length: 10\r\n\r\n".encode()], 408),
    "a body that stops": ([f"{POST}{HOST}Content-Length: 10\r\n\r\n".encode(), b"{}"], 408),
    "a chunk that stops": ([f"{POST}{HOST}{CHUNKED}\r\n5\r\nab".encode()], 408),
    "an object that stops": ([f"PUT /large/slow HTTP/1.1\r\n{HOST}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 100_000], 400),
    "half of HTTP/2's preface": ([b"PRI * HTTP/2.0\r\n"], None),
    "half a handshake": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], None),
    "a connection that is kept for nothing": ([f"{GET}{HOST}\r\n".encode()], 200),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_who_is_too_slow_is_let_go(server, name):
    pieces, expected = SLOW[name]
    begun = time.monotonic()
    found = statuses(exchange(server, *pieces, pause=0.05))
    assert found == ([] if expected is None else [expected])
    assert time.monotonic() - begun < 4 * PATIENCE


@pytest.mark.parametrize("shut", [False, True], ids=["reset", "half-closed"])
@pytest.mark.parametrize(
    "sent",
    [f"{GET}{HOST}", f"{POST}{HOST}Content-Length: 10\r\n\r\n{{", f"PUT /large/cut HTTP/1.1\r\n{HOST}Content-Length: 1000000\r\n\r\nabc",
     f"{POST}{HOST}{CHUNKED}\r\n5\r\nab", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01"],
    ids=["head", "body", "object", "chunk", "http2", "tls"],
)  # fmt: skip
def test_who_goes_midway_leaves_nothing(server, sent, shut):
    if shut:
        found = statuses(exchange(server, sent.encode("latin-1"), shut=True))
        assert len(found) <= 1 and all(400 <= status < 500 for status in found)
        return
    connection = connect(server)
    connection.sendall(sent.encode("latin-1"))
    time.sleep(0.05)
    reset(connection)
    assert "cut" not in str(server.client("s3").list_objects_v2(Bucket="large"))


def test_who_shuts_its_side_after_a_request_is_answered_or_closed(server):
    assert statuses(exchange(server, f"{GET}{HOST}\r\n".encode(), shut=True)) in ([200], [])


def test_who_stops_reading_is_let_go(server):
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /large/k HTTP/1.1\r\n{HOST}\r\n".encode())
        time.sleep(PATIENCE * 3)
        assert len(drain(connection)) < LARGE, "the rest was never sent"


def test_a_slow_reader_who_goes_on_gets_all(server):
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(f"GET /large/k HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n".encode())
        came, begun = 0, time.monotonic()
        while piece := connection.recv(1 << 20):
            came += len(piece)
            if time.monotonic() - begun < 2 * PATIENCE:
                time.sleep(0.05)
        assert came > LARGE


# TLS.


def context(server, protocols=("h2", "http/1.1")):
    made = ssl.create_default_context(cafile=server.ca)
    made.set_alpn_protocols(list(protocols))
    return made


def test_a_client_that_names_no_server_gets_the_addresss_certificate(server):
    made = context(server)
    with made.wrap_socket(connect(server), server_hostname="127.0.0.1") as secure:
        # Python sends no name with an address.
        assert ("IP Address", "127.0.0.1") in secure.getpeercert()["subjectAltName"]


def test_a_strange_protocol_or_name_ends_the_handshake(server):
    for made, name in [(context(server, ["spdy/3"]), "localhost"), (context(server), "example.com")]:
        with connect(server) as connection, pytest.raises(ssl.SSLError, match="(?i)alert"):
            made.wrap_socket(connection, server_hostname=name)


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x00\x05hello", b"\x16" * 4096, b"\x16\x03\x01\xff\xff" + b"a" * 65535, b"\x16\x03\x01\x00\x00" * 2000,
     b"\x16\x03\x01\x00\x04\x01\xff\xff\xff" + b"\x16\x03\x01\x40\x00" + b"a" * 16384 * 8],
    ids=["short", "long", "record too long", "empty records", "endless hello"],
)  # fmt: skip
def test_garbage_for_a_handshake_is_refused(server, garbage):
    assert statuses(exchange(server, garbage)) == []


def test_a_handshake_that_stops_in_its_middle_is_let_go(server):
    outgoing = ssl.MemoryBIO()
    half = context(server).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    begun = time.monotonic()
    assert exchange(server, hello).startswith(b"\x16\x03\x03"), "the server goes on, and waits"
    assert time.monotonic() - begun < 4 * PATIENCE
    assert statuses(exchange(server, hello, b"GET / HTTP/1.1\r\n\r\n")) == []


def test_who_leaves_without_a_word_and_who_stops_reading_under_tls(server):
    secure = context(server, ["http/1.1"]).wrap_socket(connect(server), server_hostname="localhost")
    secure.sendall(f"{GET}{HOST}\r\n".encode())
    assert secure.recv(12) == b"HTTP/1.1 200"
    reset(secure)
    with context(server, ["http/1.1"]).wrap_socket(connect(server), server_hostname="localhost") as secure:
        secure.sendall(f"GET /large/k HTTP/1.1\r\n{HOST}\r\n".encode())
        time.sleep(PATIENCE * 3)
        try:
            assert len(drain(secure)) < LARGE
        except OSError:
            pass


# HTTP/2.


def head(path="/_lambent/health", method="GET", more=(), drop=()):
    pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    return Encoder().encode([pair for pair in pseudo if pair[0] not in drop] + list(more))


def ask(stream, block=None, flags=("END_HEADERS", "END_STREAM"), **more):
    return HeadersFrame(stream, data=block if block is not None else head(**more), flags=list(flags))


def answered(frames, stream=1):
    return any(isinstance(frame, HeadersFrame) and frame.stream_id == stream for frame in frames)


def refused(frames, stream=1):
    """The error code of the stream's reset."""
    return next((frame.error_code for frame in frames if isinstance(frame, RstStreamFrame) and frame.stream_id == stream), None)


def over(stream=1):
    """A frame that ends a stream, or the connection."""
    return lambda frame: (frame.stream_id == stream and (isinstance(frame, RstStreamFrame) or "END_STREAM" in frame.flags)) or type(frame).__name__ == "GoAwayFrame"


def test_rapid_resets_end_the_connection(server):
    """CVE-2023-44487: streams that are begun and taken back at once."""
    with Two(server) as two:
        for stream in range(1, 4000, 2):
            if not two.send(ask(stream, path="/large/k"), RstStreamFrame(stream, error_code=8)):
                break
        assert two.farewell() in (11, None), "ENHANCE_YOUR_CALM"


def test_requests_taken_back_a_little_later_end_the_connection_too(server):
    with Two(server) as two:
        stream, told = 1, []
        while stream < 3000 and not told:
            two.send(ask(stream, method="POST", path="/2015-03-31/functions/f/invocations", flags=["END_HEADERS"]))
            time.sleep(0.002)
            two.send(RstStreamFrame(stream, error_code=8))
            stream += 2
            told = [frame for frame in two.frames(seconds=0.001) if isinstance(frame, GoAwayFrame)]
        assert told and 400 <= stream < 1500, stream
        two.farewell()


def test_headers_that_never_end_are_cut_off(server):
    """CVE-2024-27316: CONTINUATION frames without end."""
    with Two(server) as two:
        two.send(ask(1, flags=["END_STREAM"]))
        block = Encoder().encode([("x-long", "a" * 8000)])
        for _ in range(10_000):
            if not two.send(ContinuationFrame(1, data=block)):
                break
        two.farewell()
        assert two.gone


def test_headers_that_stop_are_let_go(server):
    with Two(server) as two:
        two.send(ask(1, flags=["END_STREAM"]))
        two.farewell(seconds=4 * PATIENCE)


def test_a_large_head_is_refused_and_its_connection_goes_on(server):
    with Two(server) as two:
        more = [(f"x-{n}", "a" * 4000) for n in range(20)]
        block = head(more=more)
        first, rest = block[:16000], [block[at : at + 16000] for at in range(16000, len(block), 16000)]
        frames = [ask(1, first, flags=["END_STREAM"])] + [ContinuationFrame(1, data=piece) for piece in rest]
        frames[-1].flags.add("END_HEADERS")
        two.send(*frames)
        seen = two.frames(over())
        assert refused(seen) is not None or answered(seen), seen
        two.send(ask(3))
        assert answered(two.frames(over(3)), 3)


def test_a_compressed_bomb_of_headers_is_refused(server):
    with Two(server) as two:
        encoder = Encoder()
        block = encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost"), ("x-bomb", "a" * 3900)])
        # One byte names what stands in the table: 12,000 times 3.9 kB.
        two.send(ask(1, block + b"\xbe" * 12_000))
        assert two.farewell() == 11, "ENHANCE_YOUR_CALM"


@pytest.mark.parametrize("kind", ["settings", "ping", "empty data", "priority", "window"])
def test_a_flood_of_frames_that_nobody_answers_to_is_bounded(server, kind):
    before = resident_mib(server)
    with Two(server) as two:
        two.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        two.socket.settimeout(PATIENCE * 2)
        two.send(ask(1, method="POST", path="/2015-03-31/functions/f/invocations", flags=["END_HEADERS"]))
        frame = {
            "settings": SettingsFrame(0, settings={3: 100}),
            "ping": PingFrame(0, opaque_data=b"12345678"),
            "empty data": DataFrame(1, data=b""),
            "priority": PriorityFrame(1, depends_on=3, stream_weight=1),
            "window": WindowUpdateFrame(1, window_increment=1),
        }[kind].serialize()
        for _ in range(200):
            if not two.send(frame * 1000):
                break
    assert resident_mib(server) < before + 64


@pytest.mark.parametrize("how", ["the stream's window", "the connection's window"])
def test_an_answer_whose_window_never_opens_is_let_go(server, how):
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 0} if how == "the stream's window" else {}
    with Two(server, settings) as two:
        two.send(*(ask(stream, path="/large/k") for stream in range(1, 40, 2)))
        end = time.monotonic() + 5 * PATIENCE
        # A client that keeps the connection lively and reads no answer.
        while not two.gone and time.monotonic() < end:
            two.send(PingFrame(0, opaque_data=b"12345678"))
            two.frames(seconds=0.1)
        assert two.gone


def test_a_window_that_opens_slowly_is_served(server):
    with Two(server, {SettingsFrame.INITIAL_WINDOW_SIZE: 1000}) as two:
        two.send(ask(1, path="/large/k"))
        end, came = time.monotonic() + 2.5 * PATIENCE, 0
        while time.monotonic() < end:
            came += sum(len(frame.data) for frame in two.frames(seconds=0.2) if isinstance(frame, DataFrame))
            two.send(WindowUpdateFrame(1, window_increment=8000), WindowUpdateFrame(0, window_increment=8000))
        assert not two.gone and came > 50_000


def test_more_streams_than_allowed_are_refused_one_by_one(server):
    with Two(server) as two:
        block = head(method="POST", path="/2015-03-31/functions/f/invocations")
        two.send(*(ask(stream, block, flags=["END_HEADERS"]) for stream in range(1, 301, 2)))
        seen = two.frames(lambda frame: isinstance(frame, RstStreamFrame) and frame.stream_id == 299, seconds=3)
        assert {refused(seen, stream) for stream in range(203, 301, 2)} == {7}, "REFUSED_STREAM"


BROKEN = {
    "an upper case name": dict(more=[("X-Upper", "1")]),
    "no path": dict(drop=[":path"]),
    "no method": dict(drop=[":method"]),
    "an unknown pseudo header": dict(more=[(":odd", "1")]),
    "a header of the connection": dict(more=[("connection", "close")]),
    "a transfer coding": dict(more=[("transfer-encoding", "chunked")]),
    "te": dict(more=[("te", "gzip")]),
    "a line end in a value": dict(more=[("x-a", "b\r\nx-c: d")]),
    "NUL in a value": dict(more=[("x-a", "b\0c")]),
    "a length that is too long": dict(more=[("content-length", "5")]),
    "another host": dict(more=[("host", "evil.example")]),
    "two hosts": dict(more=[("host", "localhost"), ("host", "localhost")]),
    "an empty path": dict(drop=[":path"], more=[(":path", "")]),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_head_ends_its_stream(server, name):
    with Two(server) as two:
        wanted = BROKEN[name]
        pseudo = [pair for pair in wanted.get("more", []) if pair[0].startswith(":")]
        rest = [pair for pair in wanted.get("more", []) if not pair[0].startswith(":")]
        pairs = [(":method", "GET"), (":scheme", "http"), (":path", "/_lambent/health"), (":authority", "localhost")]
        pairs = [pair for pair in pairs if pair[0] not in wanted.get("drop", [])] + pseudo + rest
        two.send(ask(1, Encoder().encode(pairs)))
        seen = two.frames(over(), seconds=5)
        heads = [frame for frame in seen if isinstance(frame, HeadersFrame)]
        if heads:
            # Answered: then with a refusal.
            client = H2Connection()
            status = dict(client.decoder.decode(heads[0].data)).get(":status")
            assert status == "400", status
        else:
            assert refused(seen) == 1 or two.gone or seen[-1].__class__.__name__ == "GoAwayFrame", seen


FRAMES = {
    "a frame too long": b"\x00\x80\x00\x00\x01\x00\x00\x00\x01" + b"a" * 32768,
    "settings of a stream": b"\x00\x00\x00\x04\x00\x00\x00\x00\x01",
    "settings of an odd length": b"\x00\x00\x05\x04\x00\x00\x00\x00\x00aaaaa",
    "data of no stream": b"\x00\x00\x01\x00\x00\x00\x00\x00\x00a",
    "data of a stream that never was": b"\x00\x00\x01\x00\x01\x00\x00\x00\x63a",
    "an even stream": HeadersFrame(2, data=head(), flags=["END_HEADERS", "END_STREAM"]).serialize(),
    "a continuation of nothing": ContinuationFrame(1, data=b"a", flags=["END_HEADERS"]).serialize(),
    "a window of nothing": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "a window beyond the most": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff",
    "a promise": b"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02",
    "headers that nothing decodes": HeadersFrame(1, data=b"\xff" * 40, flags=["END_HEADERS", "END_STREAM"]).serialize(),
    "padding longer than the frame": b"\x00\x00\x02\x00\x08\x00\x00\x00\x01\xff\x00",
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_a_broken_frame_ends_the_connection(server, name):
    with Two(server) as two:
        two.send(FRAMES[name])
        assert two.farewell(seconds=5) not in (0, 2), "neither NO_ERROR nor INTERNAL_ERROR"


def test_a_connection_of_http_2_that_nobody_uses_is_let_go(server):
    with Two(server) as two:
        two.send(ask(1))
        assert answered(two.frames(over()))
        begun = time.monotonic()
        assert two.farewell(seconds=6 * PATIENCE) == 0
        assert time.monotonic() - begun < 3 * PATIENCE


def test_bodies_that_stop_are_told_so_by_stream(server):
    with Two(server) as two:
        two.send(ask(1, method="POST", path="/2015-03-31/functions/f/invocations", flags=["END_HEADERS"]), DataFrame(1, data=b"{"))
        two.send(ask(3, method="PUT", path="/large/h2", flags=["END_HEADERS"]), DataFrame(3, data=b"x" * 10_000))
        seen = two.frames(over(1), seconds=4 * PATIENCE) + two.frames(over(3), seconds=4 * PATIENCE)
        assert answered(seen, 1) and answered(seen, 3), seen
        two.send(ask(5))
        assert answered(two.frames(over(5)), 5)
    assert "h2" not in str(server.client("s3").list_objects_v2(Bucket="large").get("Contents"))


def test_many_clients_at_once_leave_nothing(server):
    """Two hundred connections in every state, all dropped."""
    made = []
    for index in range(200):
        connection = connect(server)
        connection.sendall([b"", GET.encode(), b"\x16\x03", b"PRI * ", f"{POST}{HOST}Content-Length: 9\r\n\r\n{{".encode()][index % 5])
        made.append(connection)
    for index, connection in enumerate(made):
        reset(connection) if index % 2 else connection.close()
