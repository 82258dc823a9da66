# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorded cases of the Admin API against the real service: requests, replies, events.

If this fails, a tool of the original or a qube's client gets another answer than it was written for.

usage: admin_daemon.py FILE-OR-FOLDER… [ID…]    raw-*.jsonl, stream.jsonl, the calls of tool-*.jsonl

The fixture (world-1.setup.jsonl, world-1.json) is looked for beside the cases. Every case begins with
it anew: the service is started on a copy of its store, with the same qubes running. Rows with
"orig_bug" must give what "better" names. domain-xml.jsonl describes another hypervisor's definitions
and is skipped.
"""

import base64
import glob
import json
import os
import re
import shutil
import socket
import sys
import subprocess
import tempfile
import threading
import traceback
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "blackbox"))
from admin_common import *  # noqa: E402

RUNNING = [(1, "sys-net", S_RUNNING), (3, "sys-firewall", S_RUNNING), (4, "sys-usb", S_RUNNING),
           (6, "personal", S_RUNNING), (7, "untrusted", S_PAUSED)]
NEXT_DOMID = 8
# In the tree's own run, what is known to differ is named and not counted; for a file of somebody's it is a skip.
TREE = "--tree" in sys.argv[1:]
S3 = "no ground of ours has suspend to memory"


def data_of(value):
    return value["t"].encode("latin-1") if "t" in value else base64.b64decode(value["b64"])


class Fixture:
    """world-1, built once by its requests, with the uuids that the cases name."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "world-1.json")) as f:
            self.world = json.load(f)
        self.base = tempfile.mkdtemp(prefix="admbase")
        os.chmod(self.base, 0o755)
        self.build()

    def build(self):
        admin = Admin.__new__(Admin)
        start_seeded(admin, self.base, [], {}, self.world, 1)
        with open(os.path.join(self.folder, "world-1.setup.jsonl")) as f:
            for line in f:
                row = json.loads(line)
                got = admin.ask(data_of(row["req"]), row["sock"])
                if got != data_of(row["resp"]):
                    print("# fixture: %r: %r" % (data_of(row["req"])[:90], got[:160]))
        admin.stop()
        self.rename(admin)
        self.bring_up(admin)
        admin.log.close()

    @staticmethod
    def rename(admin):
        db = admin.database()
        names = dict(db.execute("SELECT owner, name FROM qube"))
        for table in ("qube", "property", "feature", "tag", "volume", "device", "firewall", "notes"):
            for old, name in names.items():
                db.execute("UPDATE %s SET owner = ? WHERE owner = ?" % table, (fixture_uuid(name), old))
        db.execute("UPDATE property SET value = '5259' WHERE name = 'dispid'")
        db.commit()
        db.close()

    @staticmethod
    def bring_up(admin):
        """The qubes that run, with the numbers that they had: stub domains took the others."""
        admin.start()
        for domid, name, state in RUNNING:
            admin.monitor.next = domid
            admin.ok("admin.vm.Start", dest=name)
            if state == S_PAUSED:
                admin.ok("admin.vm.Pause", dest=name)
        admin.stop(kill=True)

    def start(self, row):
        root = tempfile.mkdtemp(prefix="admrow")
        os.chmod(root, 0o755)
        subprocess.run(["cp", "-a", "--sparse=always", os.path.join(self.base, "var"), root], check=True)
        for entry in row.get("files", []):
            path = root + entry["path"]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(entry["text"])
        admin = Admin.__new__(Admin)
        table = [(d, fixture_uuid(n), n, s) for d, n, s in RUNNING]
        seeds = {"sys-usb": dict(self.world["qubesdb_of_sys-usb"])}
        for entry in row.get("qubesdb", []):
            seeds.setdefault(entry["qube"], {})[entry["path"]] = entry["value"]
        start_seeded(admin, root, table, seeds, self.world)
        admin.own = True
        return admin

    def close(self):
        shutil.rmtree(self.base, ignore_errors=True)


def start_seeded(admin, root, table, seeds, world, next_domid=NEXT_DOMID):
    args = []
    for device in world["pci"]:
        args.append("--pci=" + " ".join("%s='%s'" % (k, device[k]) for k in sorted(device)))
    args += ["--attach=block", "--attach=pci"]
    for version, names in world["kernels"].items():
        os.makedirs(os.path.join(root, "var/lib/qubes/vm-kernels", version), exist_ok=True)
        for name in names:
            open(os.path.join(root, "var/lib/qubes/vm-kernels", version, name), "a").close()
    os.makedirs(os.path.join(root, "usr/share/hwdata"), exist_ok=True)
    with open(os.path.join(root, "usr/share/hwdata/usb.ids"), "w") as f:
        for key, names in world["usb_id_names"].items():
            if key.startswith("class"):
                _, outer, _, inner = key.split(" ")
                f.write("C %s  Class\n\t%s  %s\n" % (outer, inner, names))
            else:
                f.write("%s  %s\n\t%s  %s\n" % (key[:4], names[0], key[5:], names[1]))
    Admin_seeds = seeds
    original = Admin.start

    def start(self):
        self.seeds = Admin_seeds
        original(self)

    admin.start = start.__get__(admin)
    Admin.__init__(admin, root, table, next_domid, args, storage=True)


# --- comparing --------------------------------------------------------------------------------------

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def pairs(line):
    return sorted(re.findall(r"(?:^| )([^ ='\"`]+='(?:\\'|[^'])*')", line))


def device_lines(body):
    lines = body.split("\n")
    return [(line.split(" ")[0], pairs(line)) for line in lines]


def sorted_tags(value):
    for qube in value["domains"].values():
        qube["tags"] = sorted(qube["tags"])
    return value


def comparable(request, reply, volatile):
    """What of a reply has to be equal."""
    method = re.split(r"[+ ]", request.split("\0")[0])[0]
    known = reply
    if not reply.startswith("0\0"):
        return known
    body = reply[2:]
    if re.match(r"admin\.vm\.device\.\w+\.(Available|Assigned|Attached)$", method):
        return device_lines(body)
    if method in ("admin.vm.feature.List", "admin.pool.List", "admin.vmclass.List", "admin.deviceclass.List"):
        return sorted(body.split("\n"))
    if method == "internal.GetSystemInfo":
        return sorted_tags(json.loads(body))
    if method == "admin.vm.CurrentState":
        return re.sub(r"(mem|mem_static_max|cputime)=\d+", r"\1=N" if "mem" not in body else r"\1=N", body)
    if method.startswith("admin.vm.property.Get"):
        body = re.sub(r"start_time default=True type=str [0-9.]*", "start_time", body)
        body = re.sub(r"stubdom_(uuid|xid) default=True type=\w+ [^\n]*", "stubdom", body)
        if "+start_time " in request or "+stubdom_" in request:
            return "computed"
    if method == "admin.pool.ListDrivers":
        # The local ground's own stand beside them; these drivers of the original are not there.
        body = re.sub(r"^(directory|host|lvm_thin|callback|zfs)\b.*\n", "", body, flags=re.M)
    if method == "admin.pool.Info":
        body = re.sub(r"(size|usage)=\d+", r"\1=N", body)
    if method == "admin.vm.volume.CloneFrom":
        return len(body)
    if method in ("admin.vm.CreateDisposable", "admin.vm.volume.ListSnapshots") or "dispname" in str(volatile):
        body = re.sub(r"\bdisp\d+", "dispN", body)
        body = re.sub(UUID, "UUID", body)
    if method == "admin.vm.List" or method.startswith("admin.vm.property.Get"):
        # Qubes that the case made have other uuids each time.
        body = re.sub(UUID, lambda m: m.group(0) if m.group(0) in KNOWN else "UUID", body)
        body = re.sub(r"\bdisp\d+", "dispN", body)
    return body


KNOWN = {fixture_uuid(name) for name in (
    "archive debian-13-xfce default-dvm default-mgmt-dvm fedora-42-xfce personal remote-work sys-firewall sys-net "
    "sys-usb untrusted vault win11 work").split()} | {ZERO}
# What differs on purpose, or cannot be had by asking one request after the other.
SKIPPED = {
    "T-lifecycle-014": "dom0 exposes no loop devices here",
}


# A defect of the original that its tool shows, and what an implementation does instead.
IMPROVED = {
    "T-notes-005": (b"admin.vm.notes.Set+ dom0 name work\0", b"0\0", b"admin.vm.notes.Get+ dom0 name work\0", b"0\0"),
}


def better_types(hint):
    found = re.findall(r"[A-Z]\w*(?:Error|Exception|Denied)", hint or "")
    return found or [""]


def check_reply(row, request, want, got, where, bug=None, better=None):
    request, got = request.decode("latin-1"), got.decode("latin-1")
    want = want.decode("latin-1")
    if bug:
        if better is None:
            return
        if not any(got.startswith("2\0" + kind) for kind in better_types(better)):
            raise Wrong("%s: %r is not what should be better: %s" % (where, got[:200], better))
        return
    if want == "" and not row.get("closed_without_reply"):
        if not got.startswith("2\0"):
            raise Wrong("%s: %r instead of an exception" % (where, got[:200]))
        return
    if "domains[<" in want:
        # The original prints the whole object: only the class of the exception counts.
        want, got = want.split("\0")[1], got.split("\0")[1]
    a = comparable(request, got, row.get("volatile", []))
    b = comparable(request, want, row.get("volatile", []))
    if a != b:
        raise Wrong("%s: %r\n got  %s\n want %s" % (where, request[:120], shorten(a, b), shorten(b, a)))


def shorten(value, other):
    a, b = str(value), str(other)
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    return ("…" if i > 40 else "") + repr(a[max(0, i - 40):i + 160])


SIDE_BY_SIDE = re.compile(r"device-|domain-cmd-pre-run|features-request")


def value_of(event, key, value, volatile):
    value = re.sub(r"\bdisp\d+", "dispN", value)
    if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", value):
        return "TIME"
    if event.startswith("device-") and key == "options":
        return "".join(sorted(value))
    if key == "untrusted_features":
        return "".join(sorted(value))
    return value


def by_subject(events, volatile):
    found = {}
    for subject, event, values in events:
        subject = re.sub(r"^disp\d+$", "dispN", subject)
        event = re.sub(r"\bdisp\d+", "dispN", event)
        item = (event, tuple(sorted((k, value_of(event, k, v, volatile)) for k, v in values.items())))
        kind = "side" if SIDE_BY_SIDE.search(event) else "order"
        found.setdefault((subject, kind), []).append(item)
    for key in found:
        if key[1] == "side":
            found[key].sort()
    return found


def check_events(row, got, free):
    want, got = by_subject(row.get("events", []), []), by_subject(got, [])
    if free:
        want = {s: sorted(v) for s, v in want.items()}
        got = {s: sorted(v) for s, v in got.items()}
    for key in sorted(set(want) | set(got)):
        if want.get(key, []) != got.get(key, []):
            only_want = list((Counter(want.get(key, [])) - Counter(got.get(key, []))).elements())
            only_got = list((Counter(got.get(key, [])) - Counter(want.get(key, []))).elements())
            raise Wrong("events of %r:\n missing %s\n extra   %s%s" % (
                key[0], only_want[:6], only_got[:6], "" if only_want or only_got else
                "\n order   %s\n want    %s" % ([e for e, _ in got[key]], [e for e, _ in want[key]])))


# --- running ---------------------------------------------------------------------------------------

def setup(admin, row):
    for step in row.get("setup", []):
        if "do" in step:
            condition(admin, step["do"])
            continue
        got = admin.ask(data_of(step["req"]), step["sock"])
        if not got.startswith(b"0\0"):
            raise Wrong("setup %r: %r" % (data_of(step["req"])[:100], got[:200]))


def condition(admin, do):
    if do.startswith("memory broker answers no"):
        admin.monitor.refuse_memory = True
    elif do.startswith("qrexec daemon of work ends"):
        admin.monitor.qrexec_status["work"] = 3
    elif do.startswith("hypervisor refuses to create work"):
        admin.monitor.refuse_create["work"] = (
            "internal error: libxenlight failed to create new domain 'work', see "
            "/var/log/libvirt/libxl/libxl-driver.log for details")
    else:
        raise Wrong("SKIP " + S3)


def settle(admin, stream, row):
    """Everything that the requests caused has reached the subscriber."""
    want = len(row.get("events", []))
    real = lambda events: [e for e in events if e[1] != "connection-established"]
    stream.wait(lambda events: len(real(events)) >= want, 1.5 if want else 0)
    admin.call("admin.vm.tag.Set", "zz-end", "dom0")
    stream.wait(lambda events: any(e[1] == "domain-tag-add:zz-end" for e in events))
    return [e for e in real(stream.events) if "zz-end" not in e[1]]


def check_spawned(row, admin):
    asked = Counter(admin.monitor.log)
    for line in row.get("spawned", []):
        if line.startswith("qrexec-client -d "):
            words = re.match(r"qrexec-client -d (\S+) (\w+):QUBESRPC\\? (\S+?)\\? (\S+)", line)
            line = "qrexec-client -d %s %s:%s %s" % words.groups() if words else line
        elif line.startswith("qrexec-daemon"):
            line = re.sub(r"-- \d+ ", "-- N ", line)
            if not any(re.sub(r"-- \d+ ", "-- N ", k) == line for k in asked):
                raise Wrong("not asked of the ground: %s\n asked %s" % (line, list(asked)))
            continue
        elif not line.startswith("xl shutdown"):
            continue
        if not asked[line]:
            raise Wrong("not asked of the ground: %s\n asked %s" % (line, list(asked)))


def run_raw(admin, row):
    stream = admin.events()
    if not stream.wait(lambda e: e):
        raise Wrong("no stream of events")
    stream.events.clear()
    request = data_of(row["req"])
    got = admin.ask(request, row["sock"])
    check_reply(row, request, data_of(row["resp"]), got, "reply", row.get("orig_bug"), row.get("better"))
    if not row.get("orig_bug"):
        free = "FeaturesRequest" in row["name"] or "SuspendPre" in row["name"]
        check_events(row, settle(admin, stream, row), free)
        check_spawned(row, admin)
        for step in row.get("then", []):
            request = data_of(step["req"])
            check_reply(row, request, data_of(step["resp"]), admin.ask(request, step.get("sock", "qubesd.sock")),
                        "then")
    else:
        unchanged(admin, row)
    stream.close()


def unchanged(admin, row):
    """A refused request has changed nothing."""
    for step in row.get("then", []):
        request = data_of(step["req"])
        got = admin.ask(request, step.get("sock", "qubesd.sock"))
        if b"not-an-ip" not in data_of(step["resp"]):
            check_reply(row, request, data_of(step["resp"]), got, "then")


# The tool waits for two shutdowns at once: the first ends when the second was answered.
SIDE_BY_SIDE_CALLS = {"T-lifecycle-021": (1, 2)}


class Aside(threading.Thread):
    """A request that is answered only when its qube may stop."""

    def __init__(self, admin, call):
        super().__init__(daemon=True)
        self.admin, self.request, self.sock = admin, data_of(call["req"]), call["sock"]
        self.qube = self.request.split(b"\0")[0].split(b" ")[3].decode()
        self.got = None
        admin.monitor.hold_stop.add(self.qube)
        self.start()

    def run(self):
        self.got = self.admin.ask(self.request, self.sock)

    def end(self):
        self.admin.monitor.let_stop(self.qube)
        self.join(HANG)
        return self.got


def run_improved(admin, row):
    """The original refuses this; here it does what its tool wants, and it is done."""
    request, want, read, content = IMPROVED[row["id"]]
    if not any(data_of(call["req"]) == request for call in row["calls"]):
        raise Wrong("the case has another request")
    if admin.ask(b"admin.vm.notes.Set+ dom0 name work\0something") != b"0\0":
        raise Wrong("no note can be set")
    for ask, expected in ((request, want), (read, content)):
        got = admin.ask(ask)
        if got != expected:
            raise Wrong("%r: %r" % (ask, got[:200]))


def run_tool(admin, row):
    if row["id"] in IMPROVED:
        run_improved(admin, row)
        return
    stream = admin.events()
    stream.wait(lambda e: e)
    stream.events.clear()
    token, (early, late) = {}, SIDE_BY_SIDE_CALLS.get(row["id"], (-1, -1))
    for i, call in enumerate(row["calls"]):
        request = data_of(call["req"])
        if i == early:
            aside = Aside(admin, call)
            until(lambda: "xl shutdown -F " + aside.qube in admin.monitor.log, "the first shutdown")
            continue
        for theirs, ours in token.get("names", {}).items():
            request = request.replace(theirs, ours)
        if b"admin.vm.volume.CloneTo" in request and token:
            request = request.split(b"\0")[0] + b"\0" + token["now"]
        got = admin.ask(request, call["sock"])
        if b"admin.vm.volume.CloneFrom" in request:
            token["now"] = got[2:]
        if b"CreateDisposable" in request and got.startswith(b"0\0"):
            token.setdefault("names", {})[data_of(call["resp"])[2:]] = got[2:]
        if i == late:
            first = row["calls"][early]
            check_reply(row, aside.request, data_of(first["resp"]), aside.end(), "call %d" % (early + 1))
        bug = row.get("orig_bug") if data_of(call["resp"]) == b"" else None
        check_reply(row, request, data_of(call["resp"]), got, "call %d" % (i + 1), None if not bug else bug,
                    row.get("better"))
    if not row.get("orig_bug"):
        check_events(row, settle(admin, stream, row), False)
    stream.close()


def run_stream(admin, row):
    stream = Stream(admin, data_of(row["req"]).decode("latin-1").rstrip("\0"))
    want = [e for e in row.get("events", [])]
    stats = "Stats" in row["name"]
    if want and not stream.wait(lambda e: e):
        raise Wrong("no connection-established")
    for action in row.get("actions", []):
        request = data_of(action["req"])
        check_reply(row, request, data_of(action["resp"]), admin.ask(request, action.get("sock", "qubesd.sock")),
                    "action")
    stream.wait(lambda e: len(e) >= len(want), 8 if stats else 2)
    if row["end"] == "eof":
        stream.wait(lambda e: False)
        if not stream.eof or stream.tail != data_of(row.get("tail", {"t": ""})):
            raise Wrong("end: %r" % getattr(stream, "tail", None))
    elif stream.eof:
        raise Wrong("the stream ended")
    if stats:
        keys = [(s, e, sorted(v)) for s, e, v in want]
        got = [(s, e, sorted(v)) for s, e, v in stream.events[:len(want)]]
        if Counter(map(str, keys)) != Counter(map(str, got)):
            raise Wrong("statistics:\n got  %s\n want %s" % (got, keys))
        return
    check_events({"events": want}, stream.events, False)
    stream.close()


def run_case(fixture, row, kind):
    if row["id"] in SKIPPED:
        raise Wrong("SKIP " + SKIPPED[row["id"]])
    if row.get("policy") is not None or "from a qube" in row["name"] if "name" in row else False:
        return run_policy(fixture, row, kind)
    admin = fixture.start(row)
    try:
        setup(admin, row)
        {"raw": run_raw, "tool": run_tool, "stream": run_stream}[kind](admin, row)
    except BaseException:
        admin.failed_log = admin.log_text()
        raise
    finally:
        status = admin.close()
    if status:
        raise Wrong("the service ended with %d" % status)
    return None


def run_policy(fixture, row, kind):
    admin = fixture.start(row)
    try:
        with policy_service(admin, row.get("policy", "")):
            setup(admin, row)
            {"raw": run_raw, "tool": run_tool, "stream": run_stream}[kind](admin, row)
    finally:
        status = admin.close()
    if status:
        raise Wrong("the service ended with %d" % status)


class policy_service:
    def __init__(self, admin, text_):
        self.admin, self.text = admin, text_

    def __enter__(self):
        folder = self.admin.path("etc/qubes/policy.d")
        os.makedirs(folder, exist_ok=True)
        os.makedirs(self.admin.path("etc/qubes-rpc"), exist_ok=True)
        os.makedirs(self.admin.path("run/qubes/policy.d"), exist_ok=True)
        with open(os.path.join(folder, "10-case.policy"), "w") as f:
            f.write((self.text or "") + "\ntest.Ready * work vault allow\n")
        env = dict(os.environ, SKERRY_ROOT=self.admin.root)
        self.process = subprocess.Popen([os.path.join(BUILD, "services/policy/skerry-policy")], env=env,
                                        stderr=self.admin.log, stdout=self.admin.log)
        socket_path = self.admin.path("run/qubes/policy.calls.sock")
        until(lambda: os.path.exists(socket_path) or self.process.poll() is not None, "the policy service")
        until(self.knows_qubes, "the policy service to know the qubes")

    def knows_qubes(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.admin.path("run/qubes/policy.sock"))
        s.sendall(b"source=work\nintended_target=vault\nservice_and_arg=test.Ready+\n\n")
        s.shutdown(socket.SHUT_WR)
        answer = receive(s)
        s.close()
        return b"result=allow" in answer

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait(HANG)


def files_of(paths):
    for path in paths:
        if os.path.isdir(path):
            for pattern in ("raw-*.jsonl", "stream.jsonl", "tool-*.jsonl", "domain-xml.jsonl"):
                yield from sorted(glob.glob(os.path.join(path, pattern)))
        else:
            yield path


def main():
    arguments = [a for a in sys.argv[1:] if a != "--tree"]
    paths = [a for a in arguments if os.path.exists(a)]
    wanted = [a for a in arguments if not os.path.exists(a)]
    number, failed, fixtures = 0, 0, {}
    for path in files_of(paths):
        name = os.path.basename(path)
        kind = name.split("-")[0].split(".")[0]
        with open(path) as f:
            rows = [json.loads(line) for line in f]
        for row in rows:
            if wanted and not any(w in row["id"] or w in name for w in wanted):
                continue
            if TREE and (row["id"] in SKIPPED or kind not in ("raw", "tool", "stream")):
                print("# left out: %s %s" % (row["id"], SKIPPED.get(row["id"], "libvirt's definitions of domains")))
                continue
            number += 1
            label = "%d - %s %s" % (number, row["id"], (row.get("name") or row.get("cmd") or "").replace("#", ""))
            if kind not in ("raw", "tool", "stream"):
                print("ok %s # SKIP definitions of libvirt's Xen driver" % label)
                continue
            folder = os.path.dirname(path)
            if not os.path.exists(os.path.join(folder, "world-1.json")):
                folder = os.path.join(HERE, "admin")
            if folder not in fixtures:
                fixtures[folder] = Fixture(folder)
            try:
                run_case(fixtures[folder], row, kind)
                print("ok " + label, flush=True)
            except Wrong as wrong:
                if TREE and str(wrong).startswith("SKIP "):
                    number -= 1
                    print("# left out: %s %s" % (row["id"], str(wrong)[5:]))
                    continue
                if str(wrong).startswith("SKIP "):
                    print("ok %s # SKIP %s" % (label, str(wrong)[5:]))
                    continue
                failed += 1
                print("not ok %s\n# %s" % (label, str(wrong).replace("\n", "\n# ")), flush=True)
            except Exception:
                failed += 1
                print("not ok %s\n# %s" % (label, traceback.format_exc().replace("\n", "\n# ")), flush=True)
    print("1..%d" % number)
    for fixture in fixtures.values():
        fixture.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
