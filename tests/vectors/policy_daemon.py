# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded questions on the policy sockets, against the real service with its real helpers.

If this fails, a program that talks to the policy service gets another answer than from the original,
or the user is asked or told something else.

usage: policy_daemon.py FILE-OR-DIRECTORY...   (daemon.jsonl, evalsimple.jsonl, systems.jsonl)

A stand-in for the admin service answers with the system of each vector; stand-ins for the prompt
services (dom0's socket, and qrexec-client for other GUI domains) note what they are asked. The service
runs once for each vector, ends, and its helpers with it: then every notice has arrived.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

BUILD = os.environ.get("SKERRY_BUILD", "build")
SERVICE = os.path.join(BUILD, "services/policy/skerry-policy")
LOGICAL = {"etc": "etc/qubes/policy.d", "run": "run/qubes/policy.d", "legacy": "etc/qubes-rpc/policy"}
CLIENT = """#!/usr/bin/python3
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(%r)
guivm, command = sys.argv[2], sys.argv[3]
assert sys.argv[1] == "-d" and command.startswith("DEFAULT:QUBESRPC policy.") and command.endswith(" dom0")
body = sys.stdin.buffer.read()
s.sendall(command.split()[1].encode() + b" " + guivm.encode() + b"\\0" + body)
s.shutdown(socket.SHUT_WR)
answer = b""
while True:
    part = s.recv(4096)
    if not part:
        break
    answer += part
if answer == b"\\xffunreachable":
    sys.exit(1)
sys.stdout.buffer.write(answer)
"""


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


def raw(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


class World:
    """A root directory with all stand-ins; one for the whole run."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="pv")
        for name in ("var/run", "run/qubes", "usr/bin", "etc/qubes-rpc", "var/log/qubes"):
            os.makedirs(self.path(name))
        os.symlink("../../run/qubes", self.path("var/run/qubes"))
        self.domains = {}
        self.agent = None
        self.calls = []
        self.serve("var/run/qubesd.internal.sock", self.qubesd)
        self.serve("var/run/qubes/policy-agent.sock", self.prompt)
        self.serve("gui.sock", self.other_gui)
        with open(self.path("usr/bin/qrexec-client"), "w") as f:
            f.write(CLIENT % self.path("gui.sock"))
        os.chmod(self.path("usr/bin/qrexec-client"), 0o755)

    def path(self, name):
        return os.path.join(self.root, name)

    def serve(self, name, handler):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path(name))
        listener.listen(64)

        def run():
            while True:
                conn, _ = listener.accept()
                with conn:
                    try:
                        handler(conn)
                    except (BrokenPipeError, ConnectionResetError):
                        pass

        threading.Thread(target=run, daemon=True).start()

    def qubesd(self, conn):
        request = recv_all(conn)
        assert request == b"internal.GetSystemInfo+ dom0 name dom0\0", request
        conn.sendall(b"0\0" + json.dumps({"domains": self.domains}).encode())

    def note(self, dest, service, body):
        params = json.loads(body)
        if "targets" in params:
            params["targets"] = sorted(params["targets"])
        self.calls.append({"dest": dest, "service": service, "params": params})
        if service == "policy.Notify":
            return b""
        return None if self.agent is None else raw(self.agent)

    def prompt(self, conn):
        header, body = recv_all(conn).split(b"\0", 1)
        service = header.split()[0].decode()
        assert header.decode() == service + " dom0 name dom0", header
        if self.agent is None:
            return self.note("dom0", service, body)
        conn.sendall(self.note("dom0", service, body))
        return None

    def other_gui(self, conn):
        header, body = recv_all(conn).split(b"\0", 1)
        service, dest = header.decode().split()
        answer = self.note(dest, service, body)
        conn.sendall(b"\xffunreachable" if answer is None else answer)

    def fill(self, vector):
        for name, where in LOGICAL.items():
            path = self.path(where)
            shutil.rmtree(path, ignore_errors=True)
            if name not in vector.get("absent", []):
                os.makedirs(path)
        for name, content in vector["files"].items():
            first, rest = name.split("/", 1)
            self.put(os.path.join(self.path(LOGICAL[first]), rest), content)

    def substitute(self, text):
        for word, name in (("{{ETC}}", "etc"), ("{{RUN}}", "run"), ("{{LEGACY}}", "legacy")):
            text = text.replace(word, self.path(LOGICAL[name]))
        return text

    def put(self, path, content):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, dict) and "symlink" in content:
            os.symlink(self.substitute(content["symlink"]), path)
        elif isinstance(content, dict) and "dir" in content:
            os.makedirs(path, exist_ok=True)
        else:
            data = raw(content) if isinstance(content, dict) else self.substitute(content).encode()
            with open(path, "wb") as f:
                f.write(data)

    def start(self):
        """The service, once it listens; the prompt service is away if the vector says so."""
        for name in ("policy.sock", "policy.calls.sock"):
            if os.path.exists(self.path("run/qubes/" + name)):
                os.unlink(self.path("run/qubes/" + name))
        process = subprocess.Popen([SERVICE, "--root", self.root], stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL)
        while not os.path.exists(self.path("run/qubes/policy.calls.sock")):
            if process.poll() is not None:
                raise RuntimeError(process.stderr.read().decode())
            threading.Event().wait(0.001)
        return process

    def run(self, vector, domains):
        self.fill(vector)
        self.domains, self.agent, self.calls = domains, vector.get("agent", "deny"), []
        away = self.path("var/run/qubes/policy-agent.sock")
        if "agent" in vector and vector["agent"] is None:
            os.rename(away, away + ".away")
        process = self.start()
        sock = socket.socket(socket.AF_UNIX)
        if "socket" in vector:
            sock.connect(self.path("etc/qubes-rpc/" + vector["socket"]))
        else:
            sock.connect(self.path("run/qubes/policy.sock"))
        try:
            sock.sendall(raw(vector["input"]))
            sock.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        reply = recv_all(sock)
        sock.close()
        process.terminate()
        log = process.stderr.read().decode()
        status = process.wait()
        if os.path.exists(away + ".away"):
            os.rename(away + ".away", away)
        if status != 0 or "ERROR: " in log:
            raise RuntimeError("exit %d\n%s" % (status, log))
        return reply, self.calls, log


def expected(vector):
    """Every result that passes: the recorded one, and what it is with the defects corrected."""
    both = [vector["result"]] + ([vector["alt"]] if "alt" in vector else [])
    for result in both:
        calls = result.get("calls", [])
        if "agent" in vector and vector["agent"] is None:
            # What could not be reached could not be seen in dom0.
            calls = [c for c in calls if c["dest"] != "dom0"]
        yield raw(result["reply"]), calls


def vectors_of(paths):
    systems, vectors = {}, []
    for path in paths:
        files = [os.path.join(path, n) for n in sorted(os.listdir(path))] if os.path.isdir(path) else [path]
        beside = os.path.join(os.path.dirname(os.path.abspath(files[0])), "systems.jsonl")
        for name in files + [beside]:
            if not name.endswith(".jsonl") or not os.path.exists(name):
                continue
            with open(name) as f:
                for line in f:
                    v = json.loads(line)
                    if "domains" in v:
                        systems[v["id"]] = v["domains"]
                    elif "input" in v:
                        vectors.append(v)
    return systems, vectors


def key(call):
    return json.dumps(call, sort_keys=True)


def main():
    systems, vectors = vectors_of(sys.argv[1:])
    if not vectors:
        print("1..0 # SKIP no questions on sockets here")
        return 0
    world = World()
    failed = 0
    print("1..%d" % len(vectors))
    try:
        for number, vector in enumerate(vectors, 1):
            try:
                reply, calls, log = world.run(vector, systems[vector["system"]])
                got = (reply, sorted(map(key, calls)))
                good = got in [(r, sorted(map(key, c))) for r, c in expected(vector)]
            except RuntimeError as error:
                good, reply, calls, log = False, str(error), None, ""
            print("%s %d - %s" % ("ok" if good else "not ok", number, vector["id"]))
            if not good:
                failed += 1
                print("# input: %r" % (vector["input"],))
                print("# files: %r" % (vector["files"],))
                print("# got:   %r %r" % (reply, calls))
                for result in expected(vector):
                    print("# want:  %r %r" % result)
                print("".join("# " + line + "\n" for line in log.splitlines()), end="")
    finally:
        shutil.rmtree(world.root, ignore_errors=True)
    print("# %d of %d vectors fit" % (len(vectors) - failed, len(vectors)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
