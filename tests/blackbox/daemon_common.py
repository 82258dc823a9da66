# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the daemon share: a daemon, its agent, and policies of all kinds."""

import os
import threading

from harness import *  # noqa: F401,F403
from harness import (CONTROL, HELLO, Failure, pack_exec, pack_hello, pack_message, wait_for)

UUID = "f5086f02-e322-4876-a670-14973aed21b5"
ALLOW = ("user=toto\nresult=allow\ntarget={target}\nautostart=True\n"
         "requested_target={target}\n")


class Daemon:
    """A daemon over the socket transport with a raw agent. d.agent is the control channel after HELLO."""

    def __init__(self, t, xid=42, name="domain_name", user=None, program=None, version=4,
                 hello=True, uuid=UUID, env=None, options=(), agent=True):
        self.t, self.xid, self.name = t, xid, name
        self.server = t.vchan_server(xid, 0, CONTROL)
        args = ["--uuid=" + uuid, "--socket-dir=" + t.dir, "--direct"]
        if program:
            args.append("--policy-program=" + program)
        args += list(options) + [str(xid), name] + ([user] if user else [])
        self.program = t.start("skerry-qrexec", *args, env=env)
        self.path = t.path(f"qrexec.{xid}")
        self.agent = None
        if agent:
            self.greet(version, hello)

    def greet(self, version=4, hello=True):
        self.agent = self.t.own(self.server.accept())
        if hello:
            self.agent.send_message(HELLO, pack_hello(version))
            return self.agent.recv_hello()
        return None

    def new_server(self):
        self.server.close()
        self.server = self.t.vchan_server(self.xid, 0, CONTROL)

    def client(self, version=3):
        """A local client after HELLO."""
        client = self.t.connect(self.path)
        got = client.recv_hello()
        client.send_message(HELLO, pack_hello(version))
        if got != 3:
            raise Failure(f"local HELLO {got}")
        return client

    def gone(self):
        wait_for(lambda: not os.path.lexists(self.path), "local socket removed")


def policy_program(t, answer="", status=0, seconds=0, name="pol"):
    """A policy program: writes its argv, sleeps, answers. pol.args() is what it was given."""
    t.file(name + ".answer", answer)
    log = t.path(name + ".args")
    path = t.script(name, f"printf '%s\\n' \"$*\" >>{log}\nsleep {seconds}\n"
                          f"cat {t.path(name)}.answer\nexit {status}\n")
    return path


def policy_asked(t, name="pol"):
    try:
        with open(t.path(name + ".args"), encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


class TextPolicy:
    """The policy service of the original, on its text socket: answer(request text) -> reply bytes."""

    def __init__(self, t, answer):
        self.requests = []
        self.lock = threading.Lock()
        self.answer = answer
        t.respond(os.path.join(t.root, "run/qubes/policy.sock"), self.serve)

    def serve(self, channel):
        data = b""
        while not data.endswith(b"\n\n"):
            part = channel.sock.recv(65536)
            if not part:
                return
            data += part
        with self.lock:
            self.requests.append(data)
        reply = self.answer(data.decode())
        try:
            if reply:
                channel.send(reply if isinstance(reply, bytes) else reply.encode())
        except OSError:     # the question was withdrawn
            pass


def request_fields(text):
    return dict(line.split("=", 1) for line in text.strip().splitlines())


class Qubesd:
    """A stand-in of qubesd: records every call, answers with answers[method] (bytes or function)."""

    def __init__(self, t, answers):
        self.calls = []
        self.answers = answers
        self.changed = threading.Condition()
        t.respond(os.path.join(t.root, "run/qubesd.sock"), self.serve)

    def serve(self, channel):
        head, payload = channel.recv_to_eof().split(b"\0", 1)
        method, source, kind, dest = head.decode().split(" ")
        with self.changed:
            self.calls.append((method, source, kind, dest, payload))
            self.changed.notify_all()
        answer = self.answers.get(method.split("+")[0], b"0\0")
        try:
            channel.send(answer(dest) if callable(answer) else answer)
        except OSError:     # too long, or nobody waits for it
            pass

    def methods(self):
        return [call[0] for call in self.calls]

    def wait_for(self, method):
        wait_for(lambda: method in self.methods(), method)


def send_broken(channel, kind, body=b""):
    """The daemon may end the connection while this is being sent."""
    try:
        channel.send(pack_message(kind, body))
    except OSError:
        pass


__all__ = [name for name in globals() if not name.startswith("_")] + ["pack_exec"]
