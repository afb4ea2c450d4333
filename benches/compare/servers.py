"""Owns who answers: nginx with a fixed body, at once, late or late for one in a hundred, and dingmap's own sandbox."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compare.process import Child, Failed, shown
from compare.setting import Setting

ECHO = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

# What follows the host in the address of an endpoint.
AT_ONCE = ""
AFTER_20_MS = "/slow20"
AFTER_200_MS = "/slow200"
# One reply in a hundred comes after 300 ms.
WITH_A_TAIL = "/tail"

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
  split_clients "$request_id" $late {{ 1% 1; * 0; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    set $body '{{"errcode":0,"errmsg":"ok","result":{{"userid":"manager4220"}},"request_id":"3j6gn1bvnmk1"}}';
    location /topapi/ {{ return 200 $body; }}
    location /slow20/topapi/ {{ echo_sleep 0.02; echo -n $body; }}
    location /slow200/topapi/ {{ echo_sleep 0.2; echo -n $body; }}
    location /tail/topapi/ {{ if ($late) {{ rewrite ^ /late last; }} echo_sleep 0.02; echo -n $body; }}
    location /late {{ echo_sleep 0.3; echo -n $body; }}
  }}
}}
"""


@contextmanager
def nginx(setting: Setting, core: int | None, port: int | None = None) -> Iterator[str]:
    """An nginx with one worker, on a free port unless one is named; gives the address."""
    port = port or _free_port()
    if _answers(port):
        raise Failed(f"another program listens on port {port}")
    folder = setting.work / f"nginx-{port}"
    folder.mkdir(exist_ok=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(echo=ECHO, folder=folder, port=port))
    words = ["nginx", "-e", str(folder / "error.log"), "-c", str(configuration)]
    try:
        with _serving(Child(words, core), port) as address:
            yield address
    finally:
        shutil.rmtree(folder)


@contextmanager
def sandbox(setting: Setting, core: int | None) -> Iterator[str]:
    """The emulated API without a limit; gives the address."""
    port = _free_port()
    words = [str(setting.dingmap), "sandbox", "--port", str(port), "--limit", "0", "--quiet"]
    with _serving(Child(words, core), port) as address:
        yield address


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def _serving(child: Child, port: int) -> Iterator[str]:
    try:
        last = time.monotonic() + 10
        while not _answers(port):
            if time.monotonic() > last:
                raise Failed(f"nobody answers on port {port}: {shown(child.words)}")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()
