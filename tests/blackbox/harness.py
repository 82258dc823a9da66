# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw peers, program starting and a TAP runner for the black-box tests.

Every test drives a real program over its real sockets with raw bytes. Nothing here shares code with
the programs: the wire is packed and unpacked by hand, so a mistake in proto/ cannot hide itself.

A test file:

    from harness import *

    # If this failed, a service started with "just execute" would never report back.
    @case("qrexec-014 JUST_EXEC gets a port and is forwarded")
    def _(t):
        agent = t.vchan_server(42, 0, CONTROL)        # before or after the program; both work
        daemon = t.start("skerry-qrexec", "--uuid=...", "--socket-dir=" + t.dir, "--direct", "42", "vm")
        control = agent.accept()
        control.hello_first()                          # or hello_second()
        client = t.connect(t.path("qrexec.42"))        # waits until it is there
        client.send_message(JUST_EXEC, pack_exec(0, 0, "user:id"))
        equal(client.recv_message(), (JUST_EXEC, pack_exec(42, 513)))
        client.expect_eof()
        equal(daemon.stop(), 0)                        # SIGTERM, wait; the exit status

    if __name__ == "__main__":
        main()

t, the Test, owns a temporary directory (t.dir, world-writable, short path), every process and every
socket made through it; all of them go when the case ends, descendants of the programs included. The
programs find their peers in t.dir (VCHAN_SOCKET_DIR) and their files below t.root (SKERRY_ROOT).

A case fails if its function raises, or if any program under test printed a sanitizer's report or
exited with 99. Time never decides: every wait ends when the thing happens, and the limit HANG only
stops a test that would wait for ever. quiet() is the one exception, and can only err on the side
of passing.

Programs come from $SKERRY_BUILD; SKERRY_USE="name=/path,name=/path" puts others in their place (the
originals, for example). Arguments of a test file: texts, one of which must be in a case's name.
"""

import ctypes
import errno
import glob
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from system import descendants

HANG = float(os.environ.get("SKERRY_HANG", "90"))  # seconds until a wait is called a hang

# --- the wire (doc/protocol/qrexec.md, sections 2 and 3) -----------------------------------------

DATA_STDIN, DATA_STDOUT, DATA_STDERR, DATA_EXIT_CODE = 0x190, 0x191, 0x192, 0x193
EXEC_CMDLINE, JUST_EXEC, SERVICE_CONNECT, SERVICE_REFUSED = 0x200, 0x201, 0x202, 0x203
TRIGGER_SERVICE, CONNECTION_TERMINATED = 0x210, 0x211
TRIGGER_SERVICE3, TRIGGER_SERVICE4 = 0x212, 0x213
HELLO = 0x300
CONTROL, FIRST_PORT, LAST_PORT = 512, 513, 768
VERSION, VERSION_LOCAL = 4, 3
NAME_MAX, CHUNK, CHUNK_V2 = 65000, 65536, 4096
PROBLEM, REFUSED, NOT_FOUND = 125, 126, 127


def raw(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def field(text, length):
    """A fixed field, padded with NULs; too long is the test's mistake."""
    data = raw(text)
    if len(data) > length:
        raise ValueError("field too long")
    return data.ljust(length, b"\0")


def pack_header(kind, length):
    return struct.pack("<II", kind, length)


def pack_message(kind, body=b""):
    return pack_header(kind, len(body)) + body


def pack_hello(version=VERSION):
    return struct.pack("<I", version)


def pack_exec(domain, port, command=None):
    """exec_params, and the command line with its NUL unless command is None."""
    return struct.pack("<II", domain, port) + (b"" if command is None else raw(command) + b"\0")


def unpack_exec(body):
    """(domain, port, rest of the body)"""
    return struct.unpack("<II", body[:8]) + (body[8:],)


def pack_exit(code):
    return struct.pack("<i", code)


def pack_trigger2(name, target, ident):
    return field(name, 64) + field(target, 32) + field(ident, 32)


def pack_trigger3(name, target, ident):
    """name: a text gets its NUL, bytes are used as they are."""
    return field(target, 64) + field(ident, 32) + _name(name)


def pack_trigger4(name, target, ident, source=""):
    """name: a text gets its NUL, bytes are used as they are."""
    return field(source, 64) + field(target, 64) + field(ident, 32) + _name(name)


def unpack_trigger4(body):
    """(source, target, ident, name), each raw bytes without its padding; name keeps its NUL"""
    return (body[:64].rstrip(b"\0"), body[64:128].rstrip(b"\0"), body[128:160].rstrip(b"\0"),
            body[160:])


def _name(name):
    return name.encode() + b"\0" if isinstance(name, str) else bytes(name)


# --- checks ---------------------------------------------------------------------------------------

class Failure(Exception):
    pass


class Skip(Exception):
    """raise Skip("why"): the case is reported as skipped; with MUST_RUN=1 it fails."""


def short(value):
    text = repr(value)
    return text if len(text) < 2000 else text[:1000] + " ... " + text[-500:] + f" [{len(text)}]"


def equal(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what or 'value'}: got {short(got)}, wanted {short(wanted)}")


def check(condition, what="condition"):
    if not condition:
        raise Failure(what)


def wait_for(condition, what="condition"):
    """Wait until condition() is true; its value. Fails only after HANG."""
    end = time.monotonic() + HANG
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"never happened: {what}")
        time.sleep(0.005)


# --- peers ----------------------------------------------------------------------------------------

class Channel:
    """One end of a stream: a vchan over the socket transport, a local client, or any socket."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(HANG)

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        self.sock.sendall(data)

    def recv(self, length):
        """Exactly length bytes; EOF in between is a failure."""
        data = self.recv_up_to(length)
        if len(data) != length:
            raise Failure(f"ended after {len(data)} of {length} bytes: {short(data)}")
        return data

    def recv_up_to(self, length):
        """length bytes, or fewer if the stream ends."""
        parts, left = [], length
        while left:
            try:
                part = self.sock.recv(min(left, 1 << 20))
            except ConnectionResetError:
                part = b""
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def recv_to_eof(self):
        parts = []
        while True:
            try:
                part = self.sock.recv(1 << 20)
            except ConnectionResetError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)

    def expect_eof(self):
        """The other side closed and sent nothing before it."""
        equal(self.recv_to_eof(), b"", "bytes before the end of the stream")

    def quiet(self, seconds=0.2):
        """Nothing arrives for a while (and the stream does not end)."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(4096, socket.MSG_PEEK)
            raise Failure(f"unexpected: {short(data) if data else 'end of stream'}")
        except (TimeoutError, BlockingIOError):
            pass
        finally:
            self.sock.settimeout(HANG)

    def send_message(self, kind, body=b""):
        self.send(pack_message(kind, body))

    def recv_message(self):
        """(type, body)"""
        kind, length = struct.unpack("<II", self.recv(8))
        if length > 1 << 20:
            raise Failure(f"absurd message: type {kind:#x}, {length} bytes")
        return kind, self.recv(length)

    def recv_all_messages(self):
        """Every message until the other side closes; a partial one is a failure."""
        messages, data = [], self.recv_to_eof()
        while data:
            if len(data) < 8:
                raise Failure(f"partial header: {short(data)}")
            kind, length = struct.unpack("<II", data[:8])
            if len(data) < 8 + length:
                raise Failure(f"partial body of type {kind:#x}: {len(data) - 8} of {length}")
            messages.append((kind, data[8:8 + length]))
            data = data[8 + length:]
        return messages

    def expect(self, kind, body=b""):
        got_kind, got_body = self.recv_message()
        equal((hex(got_kind), got_body), (hex(kind), body), "message")

    def recv_data(self, kind, length):
        """length bytes that arrive in messages of one type, however they are cut."""
        data = b""
        while len(data) < length:
            got_kind, body = self.recv_message()
            equal(hex(got_kind), hex(kind), f"type after {len(data)} bytes")
            check(body, f"end of file after {len(data)} of {length} bytes")
            data += body
        equal(len(data), length, "bytes in messages")
        return data

    def hello_first(self, version=VERSION):
        """Send ours, then receive; the version received."""
        self.send_message(HELLO, pack_hello(version))
        return self.recv_hello()

    def hello_second(self, version=VERSION):
        """Receive, then send ours; the version received."""
        got = self.recv_hello()
        self.send_message(HELLO, pack_hello(version))
        return got

    def recv_hello(self):
        kind, body = self.recv_message()
        equal((hex(kind), len(body)), (hex(HELLO), 4), "HELLO")
        return struct.unpack("<I", body)[0]

    def shutdown(self, how=socket.SHUT_WR):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()

    def reset(self):
        """Close so that the other side sees an error, not an orderly end, where the kernel allows."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Server:
    """A listening Unix socket. accept() gives a Channel."""

    def __init__(self, path, backlog=128):
        self.path = path
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.listen(backlog)
        self.sock.settimeout(HANG)

    def fileno(self):
        return self.sock.fileno()

    def accept(self):
        return Channel(self.sock.accept()[0])

    def never_called(self):
        """Nobody connected until now."""
        self.sock.settimeout(0)
        try:
            self.sock.accept()
            raise Failure(f"somebody connected to {self.path}")
        except BlockingIOError:
            pass
        finally:
            self.sock.settimeout(HANG)

    def close(self):
        self.sock.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass


def connect(path):
    """Connect to a Unix socket, waiting until somebody listens there."""
    end = time.monotonic() + HANG
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return Channel(sock)
        except OSError as error:
            sock.close()
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN):
                raise
            if time.monotonic() > end:
                raise Failure(f"nobody listens at {path}") from error
            time.sleep(0.002)


# --- programs -------------------------------------------------------------------------------------

PROGRAMS = {
    "skerry-qrexec": "slices/qrexec/skerry-qrexec",
    "skerry-qrexec-slice": "slices/qrexec/skerry-qrexec-slice",
    "skerry-qrexec-runner": "slices/qrexec/skerry-qrexec-runner",
    "skerry-policy": "services/policy/skerry-policy",
    "skerry-channels": "services/channels/skerry-channels",
    "skerry-storage": "services/storage/skerry-storage",
    "skerryd": "monitor/skerryd",
    "vchan-node": "tests/unit/lib/vchan/vchan-node",
    "skerry-qubesdb": "slices/qubesdb/skerry-qubesdb",
    "qubesdb-daemon": "qube/qubesdb/qubesdb-daemon",
    "qubesdb-cmd": "tools/qubesdb-cmd",
    "qrexec-agent": "qube/agent/qrexec-agent",
    "qrexec-fork-server": "qube/agent/qrexec-fork-server",
    "qrexec-client-vm": "qube/client/qrexec-client-vm",
    "qrexec-client": "tools/qrexec-client",
    "qrexec-policy-exec": "tools/qrexec-policy-exec",
    "skerry": "tools/skerry",
    "qvm": "tools/qvm/qvm",
}
SOURCE = os.environ.get("SKERRY_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("SKERRY_BUILD") or os.path.join(SOURCE, "build")
_USE = dict(entry.split("=", 1) for entry in os.environ.get("SKERRY_USE", "").split(",") if entry)


def program(name):
    """The path of one of our programs; a name with a slash is taken as it is."""
    if "/" in name:
        return name
    if name in _USE:
        return _USE[name]
    path = os.path.join(BUILD, PROGRAMS.get(name, "tools/" + name))
    if not os.path.exists(path):
        raise Failure(f"{name} is not built: {path}")
    return path


SANITIZER_REPORT = re.compile(
    rb"(ERROR: (Address|Leak|Memory|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error: "
    rb"|SUMMARY: \w+Sanitizer)")


class Program:
    """A started program. stdout and stderr are collected unless they were given."""

    def __init__(self, name, popen):
        self.name = name
        self.popen = popen
        self.pid = popen.pid
        self.checked = True         # False: exit status 99 and reports are not a failure
        self._data = {"stdout": b"", "stderr": b""}
        self._grew = threading.Condition()
        self._threads = []
        for stream in ("stdout", "stderr"):
            if getattr(popen, stream):
                thread = threading.Thread(target=self._collect, args=(stream,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _collect(self, stream):
        file = getattr(self.popen, stream)
        while True:
            try:
                data = os.read(file.fileno(), 1 << 16)
            except (OSError, ValueError):
                data = b""
            with self._grew:
                if data:
                    self._data[stream] += data
                self._grew.notify_all()
            if not data:
                return

    @property
    def stdout(self):
        """What was written until now. Complete after wait()."""
        return self._data["stdout"]

    @property
    def stderr(self):
        return self._data["stderr"]

    @property
    def stdin(self):
        return self.popen.stdin

    def write(self, data):
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def close_stdin(self):
        if self.popen.stdin and not self.popen.stdin.closed:
            self.popen.stdin.close()

    def wait_output(self, data, stream="stdout"):
        """Wait until the stream holds these bytes."""
        end = time.monotonic() + HANG
        with self._grew:
            while data not in self._data[stream]:
                if not self._grew.wait(timeout=max(0.0, end - time.monotonic())):
                    raise Failure(f"{self.name}: {short(data)} never came on {stream}: "
                                  f"{short(self._data[stream])}")

    def running(self):
        return self.popen.poll() is None

    def wait(self, output=True):
        """The exit status as a shell gives it: 128 + signal if killed. Output is complete then.

        output=False: do not wait for the end of stdout and stderr, which a child may keep open."""
        try:
            code = self.popen.wait(timeout=HANG)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end; stderr {short(self.stderr)}") from None
        end = time.monotonic() + HANG
        for thread in self._threads if output else ():
            thread.join(timeout=max(0.0, end - time.monotonic()))
            check(not thread.is_alive(), f"{self.name} ended; who it started still holds its output")
        return code if code >= 0 else 128 - code

    def kill(self, signo=signal.SIGKILL):
        if self.running():
            os.kill(self.pid, signo)

    def stop(self, output=True):
        """SIGTERM, and the exit status."""
        self.kill(signal.SIGTERM)
        return self.wait(output)

    def pause(self):
        """SIGSTOP, and wait until it stands."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: self.state() in "Tt", "stopped")

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def state(self):
        with open(f"/proc/{self.pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0].decode()

    def fds(self):
        """How many descriptors it has open: for tests of leaks."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return 0  # it hides itself where it is confined; sanitizer builds are not, and root sees all

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def name_of(pid):
    """As the kernel has it: 15 letters; "" if there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


class Responder:
    """A Unix server that answers each connection in a thread of its own: handler(channel)."""

    def __init__(self, path, handler):
        self.server = Server(path)
        self.errors = []
        self.handler = handler
        self.open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.open:
            try:
                channel = Channel(self.server.sock.accept()[0])
            except OSError:
                return
            threading.Thread(target=self._answer, args=(channel,), daemon=True).start()

    def _answer(self, channel):
        try:
            self.handler(channel)
        except Exception:  # reported by the case that owns this responder
            self.errors.append(traceback.format_exc())
        finally:
            channel.close()

    def close(self):
        self.open = False
        try:
            self.server.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.server.close()


class Test:
    """What one case owns. See the top of this file."""

    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="sk-", dir="/tmp")
        os.chmod(self.dir, 0o777)
        self.root = os.path.join(self.dir, "root")
        for folder in ("run/qubes", "var/log/qubes", "etc/qubes/policy.d", "etc/qubes-rpc",
                       "usr/bin"):
            os.makedirs(os.path.join(self.root, folder))
        os.symlink("../run", os.path.join(self.root, "var/run"))
        for path, _, _ in os.walk(self.root):
            os.chmod(path, 0o777)
        self.programs = []
        self._closers = []
        self._responders = []
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C",
            "SKERRY_ROOT": self.root,
            "VCHAN_SOCKET_DIR": self.dir,
        }
        for key in ("LD_LIBRARY_PATH", "HOME", "USER", "LLVM_PROFILE_FILE", "GCOV_PREFIX"):
            if key in os.environ:
                self.env[key] = os.environ[key]
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            given = os.environ.get(key, "exitcode=99" if key != "UBSAN_OPTIONS" else
                                   "halt_on_error=1:print_stacktrace=1")
            self.env[key] = f"{given}:log_path={self.dir}/sanitizer"

    # files

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def file(self, name, content=b"", mode=0o644):
        """A file below t.dir (folders are made); its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(raw(content))
        os.chmod(path, mode)
        return path

    def script(self, name, content):
        """An executable shell script below t.dir; its path."""
        return self.file(name, "#!/bin/sh\n" + content, 0o755)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    # peers

    def own(self, closable):
        """Close it when the case ends."""
        self._closers.append(closable)
        return closable

    def vchan_path(self, server, client, port):
        return self.path(f"vchan.{server}.{client}.{port}.sock")

    def vchan_server(self, server, client, port):
        """The server's end of a vchan, listening: .accept() is the Channel."""
        return self.own(Server(self.vchan_path(server, client, port)))

    def vchan_client(self, server, client, port):
        """The client's end: waits for the server."""
        return self.connect(self.vchan_path(server, client, port))

    def connect(self, path):
        return self.own(connect(path))

    def listen(self, path):
        return self.own(Server(path))

    def respond(self, path, handler):
        """Answer every connection to path with handler(channel) in a thread; its failures fail the case."""
        responder = self.own(Responder(path, handler))
        self._responders.append(responder)
        return responder

    def socketpair(self):
        """(Channel, socket): ours, and one to give to a program."""
        ours, theirs = socket.socketpair()
        self.own(theirs)
        return self.own(Channel(ours)), theirs

    # programs

    def start(self, name, *args, env=None, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
              stderr=subprocess.PIPE, user=None, **more):
        """Start a program; env adds to t.env (a value None removes). args may be bytes or numbers."""
        merged = dict(self.env)
        for key, value in (env or {}).items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = str(value)
        argv = [arg if isinstance(arg, bytes) else str(arg) for arg in args]
        if user is not None and os.geteuid() == 0:
            more["user"], more["extra_groups"] = user, []
        popen = subprocess.Popen([program(name)] + argv, env=merged, stdin=stdin, stdout=stdout,
                                 stderr=stderr, bufsize=0, **more)
        started = Program(os.path.basename(name), popen)
        self.programs.append(started)
        return started

    # the end

    def finish(self):
        """Stop everything, then say what the programs did wrong: a list of texts."""
        wrong = []
        for channel in self._closers:
            try:
                channel.close()
            except OSError:
                pass
        for started in self.programs:
            if started.running():
                started.kill(signal.SIGCONT)
                started.kill(signal.SIGKILL)
            started.close_stdin()
            code = started.popen.wait()
            if started.checked and code == 99:
                wrong.append(f"{started.name} exited 99 (sanitizer)")
        _kill_descendants()
        for started in self.programs:
            for thread in started._threads:
                thread.join(timeout=HANG)
            for stream in (started.popen.stdout, started.popen.stderr):
                if stream:
                    stream.close()
            if started.checked and SANITIZER_REPORT.search(started.stderr):
                wrong.append(f"{started.name}: " + started.stderr.decode(errors="replace"))
        for path in glob.glob(self.path("sanitizer.*")) + glob.glob(self.root + "/var/log/qubes/*"):
            try:
                with open(path, "rb") as file:
                    text = file.read()
            except OSError:
                continue
            if SANITIZER_REPORT.search(text):
                wrong.append(text.decode(errors="replace"))
        for responder in self._responders:
            wrong += responder.errors
        return wrong

    def notes(self):
        """What the programs printed, for the report of a failure."""
        lines = []
        for started in self.programs:
            code = started.popen.poll()
            lines.append(f"{started.name}[{started.pid}] status {code}")
            for stream in ("stdout", "stderr"):
                text = started._data[stream][-4000:].decode(errors="backslashreplace")
                lines += [f"  {stream}: {line}" for line in text.splitlines()]
        return lines

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def _kill_descendants():
    """What a program left behind comes to us (we are its subreaper): end it, reap it."""
    for _ in range(100):
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


# --- the runner -----------------------------------------------------------------------------------

_cases = []


def case(name, skip=None):
    """Register a case: a function of one argument, the Test. skip: a reason, or None."""
    def register(function):
        _cases.append((name, function, skip))
        return function
    return register


def _run_one(number, name, function, skip):
    must_run = os.environ.get("MUST_RUN") == "1"
    if skip and not must_run:
        print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        return True
    test = Test(name)
    problem, reason = [], None
    try:
        function(test)
    except Skip as error:
        reason = str(error)
        if must_run:
            problem = [f"skipped, but MUST_RUN=1: {reason}"]
    except Exception:
        problem = traceback.format_exc().splitlines()
    problem += [line for text in test.finish() for line in text.splitlines()]
    if problem:
        problem += test.notes()
        print(f"not ok {number} - {name}", flush=True)
        for line in problem:
            print("# " + line, flush=True)
    else:
        print(f"ok {number} - {name}" + (f" # SKIP {reason}" if reason else ""), flush=True)
    if problem and os.environ.get("SKERRY_KEEP"):
        print(f"# kept: {test.dir}", flush=True)
    else:
        test.remove()
    return not problem


def main():
    """Run the registered cases whose names hold one of the arguments (all without arguments)."""
    wanted = sys.argv[1:]
    chosen = [entry for entry in _cases if not wanted or any(text in entry[0] for text in wanted)]
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    print(f"1..{len(chosen)}", flush=True)
    good = [_run_one(number, *entry) for number, entry in enumerate(chosen, 1)]
    sys.exit(0 if all(good) else 1)
