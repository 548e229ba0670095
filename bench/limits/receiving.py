"""A receiver that is no bottleneck: one process that answers 200 to every complete POST and looks at nothing else."""

import asyncio
import re
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Answering(asyncio.Protocol):
    """One connection that is kept open."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._come = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request whose last byte has come."""
        self._come += data
        while (end := self._come.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._come, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._come) < size:
                return
            self._come = self._come[size:]
            self._transport.write(ANSWER)


async def main(address: str) -> None:
    """Listen until killed."""
    host, _, port = address.partition(":")
    server = await asyncio.get_running_loop().create_server(Answering, host, int(port))
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
