from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from jobd.drill.network import HOST, Proxy, ServerAddress, server_address
from jobd.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://me@db.example:6432/scratch", ServerAddress("db.example", 6432)),
        ("postgresql://db.example/scratch", ServerAddress("db.example", 5432)),
        ("postgresql:///scratch", ServerAddress("localhost", 5432)),
        ("postgresql:///scratch?host=/run/postgresql&port=5433", ServerAddress("/run/postgresql", 5433)),
        ("postgresql://me@[::1]:5433/scratch", ServerAddress("::1", 5433)),
    ],
)
def test_the_address_of_the_server_is_read_from_its_url(url: str, address: ServerAddress) -> None:
    assert server_address(url) == address


@pytest.mark.parametrize("url", ["postgresql://a,b/scratch", "postgresql:///scratch?host=a,b"])
def test_several_hosts_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="several hosts"):
        server_address(url)


async def test_a_url_through_the_proxy_keeps_everything_but_the_place() -> None:
    proxy = Proxy(ServerAddress("/run/postgresql", 5432))
    url = proxy.url_of("postgresql://me:secret@/scratch?host=/run/postgresql&sslmode=disable")
    await proxy.close()
    assert url == f"postgresql://me:secret@{HOST}:{proxy.port}/scratch?sslmode=disable"


async def test_a_server_that_is_reached_by_a_socket_is_reached_through_the_proxy(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / ".s.PGSQL.5432"))
        server.listen()
        proxy = Proxy(ServerAddress(str(tmp_path), 5432))
        try:
            with socket.create_connection((HOST, proxy.port)) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                assert await _received(server) == b"hello"
        finally:
            await proxy.close()


async def _received(server: socket.socket) -> bytes:
    server.setblocking(False)
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(server)
    with connection:
        connection.setblocking(False)
        return await loop.sock_recv(connection, 100)
