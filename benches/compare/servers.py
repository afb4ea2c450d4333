"""The servers: nginx with a fixed reply (over plain HTTP and over TLS), and dingmap's sandbox."""

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compare.process import Child, MeasurementError, shell_line
from compare.settings import Settings
from compare.tls import certificates

ECHO_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

# Prefixes of the path, by the latency of the reply.
IMMEDIATE = ""
AFTER_20_MS = "/slow20"
AFTER_200_MS = "/slow200"
# 99 % of the replies after 20 ms, 1 % after 300 ms.
LONG_TAIL = "/tail"

CONFIGURATION = """\
load_module {echo};
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/json;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  split_clients "$request_id" $late {{ 1% 1; * 0; }}
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    listen 127.0.0.1:{https} ssl backlog=4096;
    listen 127.0.0.1:{http2} ssl http2 backlog=4096;
    set $body '{body}';
    location /topapi/ {{ return 200 $body; }}
    location /slow20/topapi/ {{ echo_sleep 0.02; echo -n $body; }}
    location /slow200/topapi/ {{ echo_sleep 0.2; echo -n $body; }}
    location /tail/topapi/ {{
      if ($late) {{ rewrite ^ /late last; }}
      echo_sleep 0.02; echo -n $body;
    }}
    location /late {{ echo_sleep 0.3; echo -n $body; }}
  }}
}}
"""
BODY = '{"errcode":0,"errmsg":"ok","result":{"userid":"manager4220"},"request_id":"3j6gn1bvnmk1"}'


@dataclass(frozen=True)
class Endpoint:
    """A base URL, its CA certificate if it uses TLS, and whether it speaks HTTP/2."""

    url: str
    ca: Path | None = None
    http2: bool = False

    def under(self, path: str) -> "Endpoint":
        """The same server with a prefix of the path."""
        return replace(self, url=self.url + path)


@dataclass(frozen=True)
class Nginx:
    """One server with three ports, because a client chooses HTTP/2 wherever it is offered."""

    http: Endpoint
    https: Endpoint
    http2: Endpoint


@contextmanager
def nginx(settings: Settings, core: int | None, http_port: int | None = None) -> Iterator[Nginx]:
    """An nginx with one worker process, on free ports except where `http_port` is given."""
    tls = certificates(settings)
    free, https, http2 = _free_ports(3)
    http = http_port or free
    if _accepts(http):
        raise MeasurementError(f"port {http} is in use by another program")
    folder = settings.work / f"nginx-{http}"
    folder.mkdir(exist_ok=True)
    configuration = folder / "nginx.conf"
    values = {"http": http, "https": https, "http2": http2, "body": BODY}
    files = {"folder": folder, "certificate": tls.certificate, "key": tls.key}
    configuration.write_text(CONFIGURATION.format(echo=ECHO_MODULE, **values, **files))
    command = ["nginx", "-e", str(folder / "error.log"), "-c", str(configuration)]
    try:
        with _running(Child(command, core), lambda: _accepts(http)):
            yield Nginx(
                Endpoint(f"http://127.0.0.1:{http}"),
                Endpoint(f"https://127.0.0.1:{https}", tls.ca),
                Endpoint(f"https://127.0.0.1:{http2}", tls.ca, http2=True),
            )
    finally:
        shutil.rmtree(folder)


@contextmanager
def sandbox(settings: Settings, core: int | None) -> Iterator[Endpoint]:
    """The emulated API over TLS (HTTP/2), without a rate limit."""
    (port,) = _free_ports(1)
    command = [str(settings.dingmap), "sandbox", "--tls", "--port", str(port), "--limit", "0"]
    printed = settings.work / "sandbox.txt"
    with printed.open("wb") as file:
        child = Child([*command, "--quiet"], core, file.fileno())
    # It prints the path of its CA certificate once it accepts connections.
    with _running(child, lambda: "--ca-file" in printed.read_text()):
        path = re.findall(r"--ca-file (\S+)", printed.read_text())[0]
        yield Endpoint(f"https://127.0.0.1:{port}", Path(path), http2=True)


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def _running(child: Child, ready: Callable[[], bool]) -> Iterator[None]:
    """Waits until the server is ready; stops it at the end."""
    try:
        deadline = time.monotonic() + 10
        while not ready():
            if time.monotonic() > deadline:
                raise MeasurementError(f"not ready after 10 s: {shell_line(child.command)}")
            time.sleep(0.02)
        yield
    finally:
        child.stop()
