"""Requests whose end two programs could see in different places, and what hides behind them."""

import json

# What must never be understood as a request of its own: it would order something.
_BODY = json.dumps({"items": [{"product_id": 1, "quantity": 1}]}).encode()
HIDDEN = b"POST /api/orders/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)

LINE = b"POST /api/orders/ HTTP/1.1\r\n"
COMMON = b"Host: x\r\nContent-Type: application/json\r\n"
END_OF_CHUNKS = b"0\r\n\r\n"


def _post(headers: bytes, body: bytes = b"", line: bytes = LINE) -> bytes:
    return line + COMMON + headers + b"\r\n" + body


def _chunks(body: bytes, headers: bytes = b"Transfer-Encoding: chunked\r\n") -> bytes:
    return _post(headers, body)


def _length(value: bytes) -> bytes:
    """Return a request whose length is this: by another reading there is no body, and what follows is a request."""
    return _post(b"Content-Length: " + value + b"\r\n", HIDDEN)


def _coding(field: bytes) -> bytes:
    """Return a request with this field, which some take for chunks and others do not know, and a length."""
    body = END_OF_CHUNKS + HIDDEN
    return _post(b"Content-Length: %d\r\n%b\r\n" % (len(body), field), body)


_ALL = b"Content-Length: %d\r\n" % len(END_OF_CHUNKS + HIDDEN)

CORPUS: dict[str, bytes] = {
    # Two lengths, or a length and chunks.
    "CL.TE": _post(_ALL + b"Transfer-Encoding: chunked\r\n", END_OF_CHUNKS + HIDDEN),
    "TE.CL": _post(
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"%x\r\n%b\r\n%b" % (len(HIDDEN), HIDDEN, END_OF_CHUNKS)
    ),
    "CL.0": _post(_ALL + b"Content-Length: 0\r\n", END_OF_CHUNKS + HIDDEN),
    "0.CL": _post(b"Content-Length: 0\r\n" + _ALL, END_OF_CHUNKS + HIDDEN),
    "the same length twice": _post(b"Content-Length: 0\r\nContent-Length: 0\r\n", HIDDEN),
    "two lengths in one field": _length(b"0, %d" % len(HIDDEN)),
    "the same length twice in one field": _length(b"0, 0"),
    **{
        f"TE.TE {field.decode('latin1')!r}": _coding(field)
        for field in (
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding\t: chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding:\x0bchunked",
            b"Transfer-Encoding: \x0cchunked",
            b"Transfer-Encoding:\x00chunked",
            b"Transfer-Encoding: chunked\x00",
            b"Transfer-Encoding:\xa0chunked",
            b'Transfer-Encoding: "chunked"',
            b"Transfer-Encoding: 'chunked'",
            b"Transfer-Encoding: chunked;q=1",
            b"Transfer-Encoding: CHUNKED",
            b"Transfer-Encoding:chunked",
            b"Transfer-Encoding: \r\n chunked",
            b"Transfer-Encoding:\r\n\tchunked",
            b" Transfer-Encoding: chunked",
            b"X: y\r\n Transfer-Encoding: chunked",
            b"X: y\nTransfer-Encoding: chunked",
            b"X: y\rTransfer-Encoding: chunked",
            b"\x00Transfer-Encoding: chunked",
            b"Transfer-Encoding\x00: chunked",
            b"Transfer\x00-Encoding: chunked",
            b"Transfer-Encoding\x0b: chunked",
            b"Transfer-Encoding",
            b"Transfer-Encoding:",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: ,chunked",
            b"Transfer_Encoding: chunked",
            b"TE: chunked",
        )
    },
    "chunks in HTTP/1.0": _post(b"Transfer-Encoding: chunked\r\n", END_OF_CHUNKS + HIDDEN, b"POST /api/orders/ HTTP/1.0\r\n"),
    # Lengths that are none.
    **{
        f"length {value.decode('latin1')!r}": _length(value)
        for value in (
            b"+0",
            b"-0",
            b"-1",
            b"0x0",
            b"0_0",
            b"0 0",
            b"0;",
            b'"0"',
            b"0.0",
            b"0e0",
            b"",
            b"\x00",
            b"0\x00",
            b"\xb2",
            b"\xef\xbc\x90",
            b"0\x0b",
            b"\r\n 0",
            b"0\r\n ",
            b"0,",
            b",0",
            b"9" * 5000,
        )
    },
    "length before a colon with a blank": _post(b"Content-Length : 0\r\n", HIDDEN),
    # Chunks that are none.
    **{
        f"chunk size {size[:40].decode('latin1')!r}": _chunks(size + b"\r\n" + HIDDEN + b"\r\n" + END_OF_CHUNKS)
        for size in (
            b"0x0",
            b"+0",
            b"-0",
            b"-1",
            b"0_0",
            b"",
            b" ",
            b"\x00",
            b"0\x00",
            b"g",
            b"0 0",
            b"0\t0",
            b"\xef\xbc\x90",
            b"f" * 17,
            b"1" + b"0" * 16,
            b"0\n",
            b"0\r",
            b"00000000000000000000000000000000000000g",
            b'0;"',
        )
    },
    "a chunk longer than it says": _chunks(b"1\r\nxx\r\n" + END_OF_CHUNKS + HIDDEN),
    "a chunk without its end": _chunks(b"1\r\nx" + END_OF_CHUNKS + HIDDEN),
    "a chunk that ends with a line feed": _chunks(b"1\r\nx\n" + END_OF_CHUNKS + HIDDEN),
    "a size that ends with a line feed": _chunks(b"1\nx\r\n" + END_OF_CHUNKS + HIDDEN),
    "a size that ends with a carriage return": _chunks(b"1\rx\r\n" + END_OF_CHUNKS + HIDDEN),
    "a line feed inside an extension": _chunks(b"1;a\nb\r\nx\r\n" + END_OF_CHUNKS + HIDDEN),
    "a last chunk without its end": _chunks(b"0\r\n" + HIDDEN),
    "a trailer that is none": _chunks(b"0\r\nX\r\n\r\n" + HIDDEN),
    "a length among the trailers": _chunks(b"0\r\nContent-Length: 5\r\n" + HIDDEN),
    "a bare line feed ends the trailers": _chunks(b"0\r\nX: y\n\n" + HIDDEN),
    # Lines.
    "bare line feeds": LINE.replace(b"\r", b"") + COMMON.replace(b"\r", b"") + b"Content-Length: 0\n\n" + HIDDEN,
    "bare carriage returns": LINE.replace(b"\n", b"") + COMMON.replace(b"\n", b"") + b"Content-Length: 0\r\r" + HIDDEN,
    "a bare line feed ends the head": LINE + COMMON + b"Content-Length: 0\n\r\n" + HIDDEN,
    "a bare line feed after the first line": LINE.replace(b"\r", b"") + COMMON + b"Content-Length: 0\r\n\r\n" + HIDDEN,
    "a blank before the first field": LINE + b" " + COMMON + b"Content-Length: 0\r\n\r\n" + HIDDEN,
    "a folded line": _post(b"X: y\r\n z\r\nContent-Length: 0\r\n", HIDDEN),
    "a NUL in a value": _post(b"X: a\x00b\r\nContent-Length: 0\r\n", HIDDEN),
    "a NUL in a name": _post(b"X\x00: a\r\nContent-Length: 0\r\n", HIDDEN),
    "a NUL in the path": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /api/orders/\x00 HTTP/1.1\r\n"),
    "a field without a name": _post(b": x\r\nContent-Length: 0\r\n", HIDDEN),
    "a field without a colon": _post(b"X\r\nContent-Length: 0\r\n", HIDDEN),
    "a name with a blank": _post(b"X y: z\r\nContent-Length: 0\r\n", HIDDEN),
    "a name of other letters": _post("Ä: z\r\nContent-Length: 0\r\n".encode(), HIDDEN),
    # First lines.
    "HTTP/0.9": b"GET /health/live/\r\n" + HIDDEN,
    "HTTP/0.9 with a head": b"GET /health/live/\r\nHost: x\r\n\r\n" + HIDDEN,
    "HTTP/2.0": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /api/orders/ HTTP/2.0\r\n"),
    "HTTP/1.2": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /api/orders/ HTTP/1.20\r\n"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "no protocol": b"\r\n\r\n\r\n\r\n" + b"x" * 20,
    "two blanks": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST  /api/orders/ HTTP/1.1\r\n"),
    "a tab instead of a blank": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST\t/api/orders/\tHTTP/1.1\r\n"),
    "a blank in the path": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /api/orders/ x HTTP/1.1\r\n"),
    "a blank before the method": _post(b"Content-Length: 0\r\n", HIDDEN, b" POST /api/orders/ HTTP/1.1\r\n"),
    "a method that is none": _post(b"Content-Length: 0\r\n", HIDDEN, b"PO\x00ST /api/orders/ HTTP/1.1\r\n"),
    "a TLS hello": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "a proxy's first line": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + HIDDEN,
    # Sizes.
    "a head of 70 KB": _post(b"X: " + b"y" * 70_000 + b"\r\nContent-Length: 0\r\n", HIDDEN),
    "a field of 9 KB": _post(b"X: " + b"y" * 9_000 + b"\r\nContent-Length: 0\r\n", HIDDEN),
    "200 fields": _post(b"".join(b"X%d: y\r\n" % number for number in range(200)) + b"Content-Length: 0\r\n", HIDDEN),
    "a path of 9 KB": _post(b"Content-Length: 0\r\n", HIDDEN, b"POST /" + b"y" * 9_000 + b" HTTP/1.1\r\n"),
    "a name of 9 KB": _post(b"X" * 9_000 + b": y\r\nContent-Length: 0\r\n", HIDDEN),
}
