# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy service with stand-ins around it, for its tests."""

import json
import os
import socket
import struct
import threading

from harness import *

ZERO = "00000000-0000-0000-0000-000000000000"


def uuid(number):
    return "%08d-0000-4000-8000-000000000000" % number


def qube(number, kind="AppVM", tags=(), dvm="dvm", template=False, state="Running", **more):
    made = {"tags": list(tags), "type": kind, "template_for_dispvms": template, "default_dispvm": dvm,
            "icon": "appvm-red", "label": "0xcc0000", "guivm": "dom0", "power_state": state,
            "uuid": uuid(number), "internal": None, "relayvm": None, "transport_rpc": None}
    made.update(more)
    return made


def system_e():
    domains = {
        "dom0": qube(0, "AdminVM", ["d0tag"], guivm=None, uuid=ZERO),
        "work": qube(1, tags=["w"]), "vault": qube(2, tags=["w", "v"], dvm=None, state="Halted"),
        "dvm": qube(3, tags=["dt"], template=True, state="Halted"),
        "dvm2": qube(4, tags=["dt2"], template=True, state="Halted"),
        "nodisp": qube(5, dvm=None), "badd": qube(6, dvm="work"), "int": qube(7, internal="1"),
        "relay": qube(8), "rem": qube(9, "RemoteVM", dvm=None, guivm=None, relayvm="relay", transport_rpc="tr.Rpc"),
        "rem2": qube(10, "RemoteVM", dvm=None, guivm=None),
    }
    return domains


U2 = "uuid:" + uuid(2)
ALLOWED = "user=%s\nresult=allow\ntarget=vault\ntarget_uuid=" + U2 + "\nautostart=True\nrequested_target=vault"


def recv_all(sock):
    data = b""
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def dial(path, kind=socket.SOCK_STREAM):
    """A connection, once somebody listens."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.settimeout(HANG)

    def there():
        try:
            sock.connect(path)
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    wait_for(there)
    return sock


class Service:
    """A running policy service with stand-ins around it."""

    def __init__(self, t, policy="", legacy=True, qubesd=True, agent=True, args=()):
        self.t, self.domains, self.calls, self.answer, self.agent_up = t, system_e(), [], b"deny", agent
        self.reply = None
        self.cond = threading.Condition()
        self.root = t.root
        os.makedirs(self.path("run/qubes/policy.d"), exist_ok=True)
        os.makedirs(self.path("etc/qubes-rpc/policy"), exist_ok=True)
        if policy is not None:
            self.write("etc/qubes/policy.d/30-user.policy", policy)
        if qubesd:
            self.listen("var/run/qubesd.internal.sock", self.on_query)
        if agent:
            self.listen("run/qubes/policy-agent.sock", self.on_agent)
        self.program = t.start("skerry-policy", *args)
        wait_for(lambda: os.path.exists(self.path("run/qubes/policy.calls.sock")) or not self.program.running())

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        with open(self.path(name) + ".new~", "w") as f:
            f.write(text)
        os.rename(self.path(name) + ".new~", self.path(name))

    def listen(self, name, handler):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path(name))
        listener.listen(64)
        self.t.own(listener)

        def serve(conn):
            with conn:
                try:
                    handler(conn)
                except OSError:
                    pass

        def run():
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(conn,), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()

    def on_query(self, conn):
        recv_all(conn)
        reply = self.reply
        conn.sendall(reply if reply is not None else b"0\0" + json.dumps({"domains": self.domains}).encode())

    def on_agent(self, conn):
        header, _, body = recv_all(conn).partition(b"\0")
        with self.cond:
            self.calls.append((header.decode(), json.loads(body)))
            self.cond.notify_all()
        if header.startswith(b"policy.Ask"):
            answer = self.answer(conn) if callable(self.answer) else self.answer
            conn.sendall(answer)

    def wait_calls(self, count):
        with self.cond:
            if not self.cond.wait_for(lambda: len(self.calls) >= count, HANG):
                raise AssertionError("no call to the prompt service")
            return list(self.calls)

    def connect(self, name="run/qubes/policy.sock", kind=socket.SOCK_STREAM):
        return self.t.own(dial(self.path(name), kind))

    def raw(self, data, name="run/qubes/policy.sock", end=True):
        sock = self.connect(name)
        try:
            sock.sendall(raw(data))
            if end:
                sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return recv_all(sock).decode()

    def ask(self, target="vault", service="a.Allow+x", source="work", **more):
        text = "source=%s\nintended_target=%s\nservice_and_arg=%s\n" % (source, target, service)
        text += "".join("%s=%s\n" % item for item in more.items())
        return self.raw(text + "\n", end=False)


def true(value):
    equal(bool(value), True)


def packet(number, target="vault", service="a.Allow+x", source="work", flags=0, requested=""):
    texts = [raw(x) + b"\0" for x in (source, requested, target, service)]
    return struct.pack("<IIIQ4H", 0x51504b53, number, flags, 0, *map(len, texts)) + b"".join(texts)


def unpack_answer(data):
    magic, number, verdict, autostart, *lens = struct.unpack_from("<IIBB6H", data)
    equal(magic, 0x41504b53)
    at, texts = 22, []
    for length in lens:
        texts.append(data[at:at + length - 1].decode())
        at += length
    equal(at, len(data))
    return number, verdict, texts
