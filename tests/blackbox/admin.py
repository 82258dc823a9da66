# SPDX-License-Identifier: GPL-2.0-or-later
"""The admin service: conformance cases of the Admin API and of the core model, by their numbers.

If one fails, tools or qubes' clients written for the original get another answer, or a change is seen
half, lost, or by somebody who may not see it.
"""

import socket
import time

import admin_common as ac
from harness import *


def truth(value, about=""):
    equal((bool(value), about), (True, about))


class Small:
    """A template, a network provider, an app qube, a disposable template."""

    def __init__(self, **more):
        self.admin = a = ac.Admin(**more)
        a.ok("admin.property.Set", "default_kernel", payload="6.12.1-1.fc41")
        a.ok("admin.vm.Create.TemplateVM", payload="name=tpl label=black")
        for feature in ("qrexec", "gui", "supported-rpc.qubes.WaitForRunningSystem",
                        "supported-rpc.qubes.WaitForSession", "supported-service.meminfo-writer"):
            a.ok("admin.vm.feature.Set", feature, "tpl", "1")
        a.ok("admin.vm.feature.Set", "os", "tpl", "Linux")
        a.ok("admin.property.Set", "default_template", payload="tpl")
        a.ok("admin.vm.Create.AppVM", payload="name=net label=red")
        a.ok("admin.vm.property.Set", "netvm", "net", "")
        a.ok("admin.vm.property.Set", "provides_network", "net", "True")
        a.ok("admin.property.Set", "default_netvm", payload="net")
        a.ok("admin.vm.Create.AppVM", payload="name=work label=blue")
        a.ok("admin.vm.Create.AppVM", payload="name=dvm label=red")
        a.ok("admin.vm.property.Set", "template_for_dispvms", "dvm", "True")
        a.ok("admin.property.Set", "default_dispvm", payload="dvm")

    def __enter__(self):
        return self.admin

    def __exit__(self, kind, value, trace):
        log = self.admin.log_text()
        status = self.admin.close()
        if any(bad in log for bad in ("AddressSanitizer", "runtime error", "CHECK")):
            raise ac.Wrong(log[-3000:])
        if kind is None and status:
            raise ac.Wrong("the service ended with %d: %s" % (status, log[-1500:]))
        return False


def state(a, name):
    return a.ok("admin.vm.List", dest=name).split("state=")[1].split(" ")[0]


def names(a):
    return [line.split(" ")[0] for line in a.ok("admin.vm.List").splitlines()]


def uuid_of(a, name):
    return a.ok("admin.vm.property.Get", "uuid", name).split(" ")[-1]


def refused(reply, kind, text=None):
    parts = reply.split(b"\0")
    equal((parts[0], parts[1:2]), (b"2", [kind.encode()]))
    if text is not None:
        equal(parts[3].decode(), text)


def told(stream, subject, event):
    return stream.wait(lambda events: any(e[0] == subject and e[1] == event for e in events))


def order(stream, subject):
    return [e[1] for e in stream.events if e[0] == subject]


def fresh(a):
    stream = a.events()
    told(stream, "", "connection-established")
    return stream


@case("admin-001, -002 no plus sign; keyword adminvm")
def _(t):
    with Small() as a:
        equal(a.ask("admin.vmclass.List dom0 name dom0\0"),
              b"0\0AppVM\nTemplateVM\nStandaloneVM\nAdminVM\nDispVM\nRemoteVM\n")
        equal(a.ask("admin.vm.List+ dom0 keyword adminvm\0"), a.ask("admin.vm.List+ dom0 name dom0\0"))


@case("admin-003 what is no request is closed without a byte")
def _(t):
    with Small() as a:
        head = "admin.vm.notes.Set+ dom0 name work\0"
        for request in ("admin.vm.List+ dom0 name dom0", "admin.vm.List+ dom0 keyword dispvm\0", "", "\0",
                        "admin.vm.List+ dom0 id dom0\0", "admin.vm.List+ dom0 dom0\0", "a\0", " \0", "  \0",
                        head + "x" * (65537 - len(head))):
            equal(a.ask(request), b"")
        equal(a.ask("admin.vm.List+ dom0 name dom0\xff\0")[:15], b"2\0ProtocolError")
        state(a, "work")


@case("admin-004, -005 a request of 65,536 bytes; only the half-close is its end")
def _(t):
    with Small() as a:
        head = "admin.vm.notes.Set+ dom0 name work\0"
        equal(a.ask(head + "y" * (65536 - len(head))), b"0\0")
        equal(len(a.ok("admin.vm.notes.Get", dest="work")), 65536 - len(head))
        s = a.dial()
        s.sendall(b"admin.vm.List+ dom0 name dom0\0")
        s.settimeout(0.3)
        try:
            equal(s.recv(10), None)
        except socket.timeout:
            pass
        s.settimeout(ac.HANG)
        s.shutdown(socket.SHUT_WR)
        equal(ac.receive(s)[:2], b"0\0")


@case("admin-006, -008, -036 unknown methods, methods of another socket, order of checks")
def _(t):
    with Small() as a:
        equal(a.ask("admin.nosuch dom0 name dom0\0"), b"2\0ProtocolError\0\0no such method: 'admin.nosuch'\0")
        refused(a.call("admin.vm.List", "x", payload="y"), "ProtocolError", "unexpected payload")
        for sock, method in (("qubesd.sock", "internal.GetSystemInfo"), ("qubesd.internal.sock", "admin.vm.List"),
                             ("qubesd.misc.sock", "admin.vm.List"), ("qubesd.sock", "qubes.NotifyTools")):
            refused(a.call(method, sock=sock), "ProtocolError", "no such method: '%s'" % method)


@case("admin-007 destinations by uuid")
def _(t):
    with Small() as a:
        uuid = uuid_of(a, "work")
        equal(a.ok("admin.vm.property.Get", "name", "uuid:" + uuid), "default=False type=str work")
        refused(a.call("admin.vm.property.Get", "name", "uuid:" + uuid.upper()), "QubesVMInvalidUUIDError")
        unknown = "uuid:00000000-0000-0000-0000-000000000001"
        refused(a.call("admin.vm.property.Get", "name", unknown), "QubesVMNotFoundError",
                "No such domain: '%s'" % unknown)


@case("admin the table of properties says what GetAll says of each qube, and only to dom0's own")
def _(t):
    with Small() as a:
        wanted = ["netvm", "label", "no_such", "memory"]
        reply = a.call("internal.vm.property.Table", payload="\n".join(wanted), sock="qubesd.internal.sock")
        blocks = dict(block.split("\n", 1) for block in reply[2:].decode().lstrip("@").split("\n@"))
        equal(sorted(blocks), sorted(names(a)))
        for name, lines in blocks.items():
            all_lines = a.ok("admin.vm.property.GetAll", dest=name).splitlines()
            equal(lines.split("\n")[:-1] if lines.endswith("\n") else lines.splitlines(),
                  [line for line in all_lines if line.split(" ")[0] in wanted], name)
        refused(a.call("internal.vm.property.Table", payload="netvm"), "ProtocolError",
                "no such method: 'internal.vm.property.Table'")
        refused(a.call("internal.vm.property.Table", sock="qubesd.internal.sock"), "ProtocolError")


@case("admin-009, -010 values and defaults that are not there")
def _(t):
    with Small() as a:
        equal(a.call("admin.vm.property.Get", "stubdom_mem", "work"), b"0\0default=True type=int ")
        equal(a.call("admin.vm.property.GetDefault", "label", "work"), b"0\0")


@case("admin-011, -013 events of a label and of a reset")
def _(t):
    with Small() as a:
        stream = a.events()
        a.ok("admin.vm.property.Set", "label", "work", "green")
        told(stream, "work", "property-set:label")
        equal(order(stream, "work"), ["property-pre-set:label", "property-reset:icon", "property-set:label"])
        equal(stream.events[-1][2], {"name": "label", "newvalue": "green", "oldvalue": "blue"})
        a.ok("admin.vm.property.Set", "memory", "work", "500")
        stream = fresh(a)
        a.ok("admin.vm.property.Reset", "memory", "work")
        told(stream, "work", "property-del:memory")
        equal(order(stream, "work"), ["property-pre-reset:memory", "property-pre-del:memory",
                                      "property-reset:memory", "property-del:memory"])


@case("admin-012 a refused value sends nothing, or only its announcement")
def _(t):
    with Small() as a:
        stream = fresh(a)
        refused(a.call("admin.vm.property.Set", "memory", "work", "0"), "QubesPropertyValueError")
        refused(a.call("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "x"), "QubesValueError")
        refused(a.call("admin.vm.feature.Set", "custom-persist.x", "work", "relative"), "QubesValueError")
        refused(a.call("admin.vm.feature.Get", "custom-persist.x", "work"), "QubesFeatureNotFoundError")
        a.ok("admin.vm.tag.Set", "end", "work")
        told(stream, "work", "domain-tag-add:end")
        equal([e[1] for e in stream.events[1:]], ["domain-feature-pre-set:preload-dispvm-max",
                                                  "domain-feature-pre-set:custom-persist.x", "domain-tag-add:end"])


@case("admin-014, -015 features and tags that are not for everybody")
def _(t):
    with Small() as a:
        refused(a.call("admin.vm.feature.Set", "preload-dispvm", "dvm", "disp1"), "PermissionDenied")
        refused(a.call("admin.vm.tag.Set", "created-by-work", "net", src="work"), "PermissionDenied")
        a.ok("admin.vm.tag.Set", "created-by-work", "net")
        refused(a.call("admin.vm.tag.Set", "created-by-nosuch", "net"), "QubesVMNotFoundError")
        equal(a.ok("admin.vm.tag.Get", "created-by-nosuch", "net"), "0")


@case("admin-016, -017 creation options")
def _(t):
    with Small() as a:
        refused(a.call("admin.vm.Create.AppVM", payload="name=nv label=red\n"), "QubesInvalidLabelError")
        refused(a.call("admin.vm.Create.AppVM", payload="name=work label=red"), "QubesVMAlreadyExistsError")
        refused(a.call("admin.vm.Create.AppVM", payload="name=nv label=none2"), "ProtocolError",
                "Creation requested without key: label")
        for bad in ("", "name=nv", "name", "label=red", "name= label=red", "name=nv  label=red", " name=nv label=red",
                    "name=nv label=red\0", "name=../x label=red", "name=nv label=red pool=varlibqubes", "=",
                    "name=nv label=red x=" + "y" * 60000, "name=nv\xff label=red"):
            equal(a.call("admin.vm.Create.AppVM", payload=bad)[:2], b"2\0")
        equal("nv" in names(a), False)


@case("admin-018 a disposable by uuid; core-024 it is gone when it stops")
def _(t):
    with Small() as a:
        reply = a.call("admin.vm.CreateDisposable", dest="dvm", payload="uuid")
        equal((len(reply), reply[:7]), (43, b"0\0uuid:"))
        name = a.ok("admin.vm.CreateDisposable", dest="dvm")
        a.ok("admin.vm.Start", dest=name)
        stream = fresh(a)
        a.ok("admin.vm.Kill", dest=name)
        told(stream, "", "domain-delete")
        events = [e[1] for e in stream.events]
        truth(events.index("domain-shutdown") < events.index("domain-pre-delete") < events.index("domain-delete"))
        equal(name in names(a), False)


@case("admin-019 starting what runs")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        stream = fresh(a)
        a.ok("admin.vm.Start", dest="work")
        a.ok("admin.vm.tag.Set", "end", "work")
        told(stream, "work", "domain-tag-add:end")
        equal(order(stream, "work"), ["domain-tag-add:end"])
        refused(a.call("admin.vm.Start"), "QubesVMNotHaltedError", "Cannot start Dom0 fake domain!")


@case("admin-020 a provider with running clients is not shut down")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        stream = fresh(a)
        refused(a.call("admin.vm.Shutdown", dest="net"), "QubesVMInUseError",
                "There are other VMs connected to this VM: work")
        told(stream, "net", "domain-shutdown-failed")
        equal(order(stream, "net"), ["domain-pre-shutdown", "domain-shutdown-failed"])
        equal(state(a, "net"), "Running")


@case("admin-021 core-011 kill: the answer after domain-shutdown, no pre event")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        stream = fresh(a)
        a.ok("admin.vm.Kill", dest="work")
        equal(state(a, "work"), "Halted")
        told(stream, "work", "device-list-change:usb")
        equal(order(stream, "work"), ["domain-stopped", "property-reset:xid", "property-reset:stubdom_xid",
                                      "property-reset:start_time", "domain-shutdown", "device-list-change:usb"])


@case("admin-028, -029 streams of the system and of one qube")
def _(t):
    with Small() as a:
        system, one = a.events(), ac.Stream(a, "admin.Events+ dom0 name work")
        for stream in (system, one):
            told(stream, "", "connection-established")
        equal(system.raw, b"1\0\0connection-established\0\0")
        a.ok("admin.vm.tag.Set", "x", "net")
        a.ok("admin.vm.tag.Set", "x", "work")
        told(one, "work", "domain-tag-add:x")
        equal([e[0] for e in one.events[1:]], ["work"])
        told(system, "work", "domain-tag-add:x")
        equal([e[0] for e in system.events[1:]], ["net", "work"])


@case("admin-031 a subscriber that leaves, one that does not read")
def _(t):
    with Small() as a:
        for _ in range(20):
            a.events().close()
        deaf = a.dial()
        deaf.sendall(b"admin.Events+ dom0 name dom0\0")
        deaf.shutdown(socket.SHUT_WR)
        for i in range(100):
            a.ok("admin.vm.feature.Set", "big", "work", str(i) + "v" * 60000)
        truth(ac.receive(deaf).endswith(b"1\0\0events-lost\0\0"))
        state(a, "work")


@case("admin-032 statistics of a halted qube")
def _(t):
    with Small() as a:
        data = a.call("admin.vm.Stats", dest="work")
        truth(data.startswith(b"1\0\0connection-established\0\0" + b"2\0QubesVMNotRunningError\0"))


@case("admin-030, -033 without policy a qube sees nothing")
def _(t):
    with Small() as a:
        equal(a.call("admin.vm.List", src="work"), b"0\0")
        stream = ac.Stream(a, "admin.Events+ work name dom0")
        told(stream, "", "connection-established")
        a.ok("admin.vm.tag.Set", "x", "work")
        a.ok("admin.vm.tag.Set", "y", "work")
        time.sleep(0.2)
        equal(len(stream.events), 1)


@case("admin-034 updates that an app qube reports are its template's")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        equal(a.call("qubes.NotifyUpdates", dest="dom0", payload="1\n", src="work", sock="qubesd.misc.sock"), b"0\0")
        equal(a.ok("admin.vm.feature.Get", "updates-available", "tpl"), "1")
        for bad in ("x", "-1", "1 2", "\0", "9" * 65, "1\0"):
            equal(a.call("qubes.NotifyUpdates", payload=bad, src="work", sock="qubesd.misc.sock")[:15],
                  b"2\0ProtocolError")


@case("admin-035 core-019 what a qube asks to be said of it")
def _(t):
    with Small() as a:
        a.seeds["tpl"] = {"/features-request/os-version": "42;rm", "/features-request/vmexec": "1"}
        a.ok("admin.vm.Start", dest="tpl")
        before = a.ok("admin.vm.feature.List", dest="tpl")
        refused(a.call("qubes.FeaturesRequest", src="tpl", sock="qubesd.misc.sock"), "ProtocolError")
        equal(a.ok("admin.vm.feature.List", dest="tpl"), before)
        a.databases["tpl"].write("/features-request/os-version", "42")
        equal(a.call("qubes.FeaturesRequest", src="tpl", sock="qubesd.misc.sock"), b"0\0")
        equal(a.ok("admin.vm.feature.Get", "supported-service.meminfo-writer", "tpl"), "1")
        a.databases["tpl"].write("/features-request/supported-service.cups", "1")
        equal(a.call("qubes.FeaturesRequest", src="tpl", sock="qubesd.misc.sock"), b"0\0")
        equal(a.ok("admin.vm.feature.Get", "supported-service.cups", "tpl"), "1")
        refused(a.call("admin.vm.feature.Get", "supported-service.meminfo-writer", "tpl"), "QubesFeatureNotFoundError")


@case("admin-037 a percent sign is doubled; core-010 a prohibited start")
def _(t):
    with Small() as a:
        a.ok("admin.vm.feature.Set", "prohibit-start", "work", "100% no")
        stream = fresh(a)
        refused(a.call("admin.vm.Start", dest="work"), "QubesException",
                "Qube start is prohibited. Rationale: 100%% no")
        told(stream, "work", "domain-start-failed")
        equal(order(stream, "work"), ["domain-start-failed"])


@case("core-001 a new store")
def _(t):
    admin = ac.Admin()
    try:
        equal(admin.ok("admin.label.List"), "red\norange\nyellow\ngreen\ngray\nblue\npurple\nblack\n")
        equal(admin.ok("admin.vm.List"), "dom0 class=AdminVM state=Running uuid=%s\n" % ac.ZERO)
        equal(admin.ok("admin.vm.property.Get", "label"), "default=False type=label black")
        equal(admin.ok("admin.property.Get", "default_pool_kernel"), "default=False type=str linux-kernel")
    finally:
        admin.close()


@case("core-002 a new app qube: its tags, its number, its uuid")
def _(t):
    with Small() as a:
        equal(a.ok("admin.vm.tag.List", dest="work"), "audiovm-dom0\ncreated-by-dom0\nguivm-dom0\n")
        equal(a.ok("admin.vm.property.Get", "qid", "work"), "default=False type=int 3")
        equal((uuid_of(a, "work")[14], uuid_of(a, "work")[19] in "89ab"), ("4", True))
        a.ok("admin.vm.Remove", dest="work")
        a.ok("admin.vm.Create.AppVM", payload="name=again label=red")
        equal(a.ok("admin.vm.property.Get", "qid", "again"), "default=False type=int 3")
        equal(a.ok("admin.vm.property.Get", "ip", "again"), "default=True type=str 10.137.0.3")


@case("core-004 default memory limits")
def _(t):
    with Small() as a:
        get = lambda prop, name: a.ok("admin.vm.property.Get", prop, name).split(" ")[-1]
        equal((get("maxmem", "work"), get("maxmem", "tpl")), ("4000", "4000"))
        a.ok("admin.vm.property.Set", "memory", "tpl", "300")
        equal(get("maxmem", "tpl"), "3000")


@case("core-007, -008, -009 a start: events, what the ground is asked, the netvm first")
def _(t):
    with Small() as a:
        stream = a.events()
        a.ok("admin.vm.Start", dest="work")
        told(stream, "work", "domain-start")
        equal(order(stream, "work"), [
            "domain-pre-start", "domain-verify-files", "domain-pre-spawn", "property-reset:xid",
            "property-reset:stubdom_xid", "property-reset:start_time", "domain-spawn", "domain-qdb-create",
            "domain-pre-unpaused", "domain-unpaused", "domain-start"])
        both = [(e[0], e[1]) for e in stream.events]
        truth(both.index(("net", "domain-start")) < both.index(("work", "domain-pre-spawn")))
        truth("qrexec-daemon -q -u %s -- 2 work user TIMEOUT=60 NOWAIT=" % uuid_of(a, "work") in a.monitor.log)
        entries = a.databases["work"].entries
        equal((entries["/name"], entries["/type"], entries["/qubes-vm-persistence"], entries["/qubes-ip"]),
              ("work", "AppVM", "rw-only", "10.137.0.3"))
        equal(len(entries["/qubes-random-seed"]), 88)


@case("core-015 the netvm of a running qube, and of a paused one")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Create.AppVM", payload="name=net2 label=red")
        a.ok("admin.vm.property.Set", "netvm", "net2", "")
        a.ok("admin.vm.property.Set", "provides_network", "net2", "True")
        a.ok("admin.vm.Start", dest="work")
        refused(a.call("admin.vm.property.Set", "netvm", "work", "net2"), "QubesVMNotStartedError",
                "Cannot dynamically attach to stopped qube net2")
        a.ok("admin.vm.Start", dest="net2")
        a.ok("admin.vm.Pause", dest="work")
        asked = len(a.monitor.log)
        a.ok("admin.vm.property.Set", "netvm", "work", "net2")
        equal(a.ok("admin.vm.feature.Get", "deferred-netvm-original", "work"), "net")
        equal([line for line in a.monitor.log[asked:] if "network" in line], [])
        a.ok("admin.vm.Unpause", dest="work")
        ac.until(lambda: any(line.startswith("network work") for line in a.monitor.log[asked:]))
        refused(a.call("admin.vm.feature.Get", "deferred-netvm-original", "work"), "QubesFeatureNotFoundError")


@case("core-016, -017 firewall rules and what the netvm finds")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="net")
        a.ok("admin.vm.firewall.Set", dest="work", payload="action=accept dst4=1.2.3.4 proto=tcp dstports=22\n"
             "action=accept dst4=1.2.3\naction=accept dst6=fd00::1 comment=a b\n")
        equal(a.ok("admin.vm.firewall.Get", dest="work"),
              "action=accept dst4=1.2.3.4/32 proto=tcp dstports=22-22\naction=accept dsthost=1.2.3\n"
              "action=accept dst6=fd00::1/128 comment=a b\n")
        key = "/qubes-firewall/10.137.0.3"
        ac.until(lambda: key in a.databases["net"].entries)
        entries = a.databases["net"].entries
        equal((entries[key + "/policy"], entries[key + "/0000"], entries[key + "/0001"], entries[key]),
              ("drop", "action=accept dst4=1.2.3.4/32 proto=tcp dstports=22-22", "action=accept dsthost=1.2.3", ""))
        equal(key + "/0002" in entries, False)


@case("core-018 services of a running qube; core-020 a provider's feature and icon")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        entries = a.databases["work"].entries
        a.ok("admin.vm.feature.Set", "service.cups", "work", "1")
        a.ok("admin.vm.feature.Set", "service.crond", "work", "")
        ac.until(lambda: entries.get("/qubes-service/crond") == "0")
        equal(entries["/qubes-service/cups"], "1")
        a.ok("admin.vm.feature.Remove", "service.cups", "work")
        ac.until(lambda: "/qubes-service/cups" not in entries)
        equal(a.ok("admin.vm.feature.Get", "servicevm", "net"), "1")
        equal(a.ok("admin.vm.property.Get", "icon", "net"), "default=True type=str servicevm-red")


@case("core-025 a pool of one: made, handed out, made again")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="net")
        a.ok("admin.vm.feature.Set", "preload-dispvm-delay", "dvm", "0")
        stream = a.events()
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "1")
        ac.until(lambda: any(e[1] == "domain-feature-set:preload-dispvm-completed" for e in stream.events),
                 "a preloaded disposable")
        first = a.ok("admin.vm.feature.Get", "preload-dispvm", "dvm")
        equal(state(a, first), "Paused")
        equal(a.ok("admin.vm.property.Get", "is_preload", first), "default=True type=bool True")
        truth(any(c[2] == "qubes.WaitForRunningSystem" for c in a.monitor.calls))
        equal(a.ok("admin.vm.CreateDisposable", dest="dvm", src="work"), first)
        equal(state(a, first), "Running")
        equal(a.ok("admin.vm.tag.Get", "disp-created-by-work", first), "1")
        refused(a.call("admin.vm.feature.Get", "internal", first), "QubesFeatureNotFoundError")
        ac.until(lambda: a.ok("admin.vm.feature.Get", "preload-dispvm", "dvm") not in ("", first))


@case("preload: after one was used the pool waits, whatever else changes; new settings do not")
def _(t):
    with Small() as a:
        pool = lambda: a.ok("admin.vm.feature.Get", "preload-dispvm", "dvm").split()
        a.ok("admin.vm.Start", dest="net")
        a.ok("admin.vm.feature.Set", "preload-dispvm-delay", "dvm", "3600")
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "1")
        ac.until(lambda: pool() and a.call("admin.vm.feature.Get", "preload-dispvm-completed", pool()[0]) == b"0\x001",
                 "a preloaded disposable")
        first = pool()[0]
        equal(a.ok("admin.vm.CreateDisposable", dest="dvm"), first)
        for number in range(3):
            a.ok("admin.vm.property.Set", "memory", "dvm", str(300 + number))
            equal(pool(), [])
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "2")
        ac.until(lambda: len(pool()) == 2, "two for the new setting")


@case("preload: other settings, a smaller maximum, a system that goes to sleep")
def _(t):
    with Small() as a:
        pool = lambda: a.ok("admin.vm.feature.Get", "preload-dispvm", "dvm").split()

        def ready():
            try:
                return [n for n in pool() if state(a, n) == "Paused"]
            except ac.Wrong:
                return []
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "3")
        ac.until(lambda: len(ready()) == 3, "three")
        before = set(pool())
        a.ok("admin.vm.property.Set", "memory", "dvm", "333")
        ac.until(lambda: len(ready()) == 3 and not before & set(pool()), "three new ones")
        equal({a.ok("admin.vm.property.Get", "memory", n) for n in pool()}, {"default=False type=int 333"})
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "1")
        ac.until(lambda: len(pool()) == 1, "one")
        ac.until(lambda: len([n for n in names(a) if n.startswith("disp")]) == 1, "no other")
        equal(a.call("internal.SuspendPre", sock="qubesd.internal.sock"), b"0\0")
        ac.until(lambda: not [n for n in names(a) if n.startswith("disp")], "none")
        equal(a.call("internal.SuspendPost", sock="qubesd.internal.sock"), b"0\0")
        ac.until(lambda: len(ready()) == 1, "one again")
        refused(a.call("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "9999"), "QubesValueError")


@case("preload: a restart of the service keeps what is ready")
def _(t):
    with Small() as a:
        a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "2")
        done = lambda: [n for n in names(a) if n.startswith("disp") and
                        a.call("admin.vm.feature.Get", "preload-dispvm-completed", n) == b"0\x001"]
        ac.until(lambda: len(done()) == 2, "two")
        before = sorted(done())
        a.ok("admin.vm.tag.Set", "durable", "work")  # and everything before it
        a.stop(kill=True)
        a.start()
        equal(sorted(done()), before)
        truth(a.ok("admin.vm.CreateDisposable", dest="dvm") in before)


@case("core-026 a paused qube sleeps and wakes paused")
def _(t):
    with Small() as a:
        for name in ("net", "work", "dvm"):
            a.ok("admin.vm.Start", dest=name)
        a.ok("admin.vm.Pause", dest="dvm")
        equal(a.call("internal.SuspendPre", sock="qubesd.internal.sock"), b"0\0")
        equal([c for c in a.monitor.calls if c[0] == "dvm"], [])
        equal({state(a, n) for n in ("net", "work", "dvm")}, {"Paused"})
        equal(a.call("internal.SuspendPost", sock="qubesd.internal.sock"), b"0\0")
        equal([state(a, n) for n in ("net", "work", "dvm")], ["Running", "Running", "Paused"])


@case("services-016 a qube whose SuspendPre hangs or fails is waited for 60 seconds and no longer, and the system sleeps")
def _(t):
    with Small() as a:
        for name in ("net", "work"):
            a.ok("admin.vm.Start", dest=name)
        a.monitor.call_late = {"qubes.SuspendPreAll", "qubes.SuspendPre"}
        equal(a.call("internal.SuspendPre", sock="qubesd.internal.sock"), b"0\0")
        equal({state(a, n) for n in ("net", "work")}, {"Paused"})
        limits = [c for c in a.monitor.call_limits if c[0].startswith("qubes.Suspend")]
        truth(limits and all(ms == 60000 for _, ms in limits), limits)
        equal(a.call("internal.SuspendPost", sock="qubesd.internal.sock"), b"0\0")
        equal({state(a, n) for n in ("net", "work")}, {"Running"})


@case("a failed start undoes itself and names the step")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="net")
        a.monitor.refuse_memory = True
        refused(a.call("admin.vm.Start", dest="work"), "QubesMemoryError", "Not enough memory to start domain 'work'")
        a.monitor.refuse_memory = False
        a.monitor.refuse_create["work"] = "no namespaces here"
        refused(a.call("admin.vm.Start", dest="work"), "QubesException", "Start failed: no namespaces here")
        a.monitor.refuse_create.clear()
        a.monitor.qrexec_status["work"] = 3
        refused(a.call("admin.vm.Start", dest="work"), "QubesVMError")
        ac.until(lambda: state(a, "work") == "Halted")
        a.monitor.qrexec_status.clear()
        a.ok("admin.vm.Start", dest="work")
        equal(state(a, "work"), "Running")


@case("reads and changes go on while a start hangs; a client that leaves stops nothing")
def _(t):
    with Small() as a:
        s = a.dial()
        s.sendall(b"admin.vm.Start+ dom0 name net\0")
        s.shutdown(socket.SHUT_WR)
        s.close()
        ac.until(lambda: state(a, "net") == "Running")
        a.monitor.mute.add(ac.CREATE)
        waiting = a.dial()
        waiting.sendall(b"admin.vm.Start+ dom0 name work\0")
        waiting.shutdown(socket.SHUT_WR)
        ac.until(lambda: "mute 2" in a.monitor.log)
        a.ok("admin.vm.List")
        a.ok("admin.vm.tag.Set", "x", "work")
        a.ok("admin.vm.Create.AppVM", payload="name=other label=red")
        a.ok("admin.vm.Remove", dest="other")
        waiting.close()


@case("a qube that ends by itself is halted, and can be started again")
def _(t):
    with Small() as a:
        a.ok("admin.vm.Start", dest="work")
        stream = fresh(a)
        a.monitor.stop(a.monitor.domid_of("work"), 2)
        told(stream, "work", "domain-shutdown")
        equal(state(a, "work"), "Halted")
        a.ok("admin.vm.Start", dest="work")


def all_methods():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../services/admin/methods.c")) as f:
        source = f.read()
    rows = re.findall(r'ROW\("((?:admin|internal|qubes)\.[\w.]+)"', source)
    for klass in re.findall(r'CREATE\("(\w+)"\)', source):
        rows += ["admin.vm.Create." + klass, "admin.vm.CreateInPool." + klass]
    for device in re.findall(r'DEVICES\("(\w+)"\)', source):
        rows += ["admin.vm.device.%s.%s" % (device, verb) for verb in
                 ("Assign", "Assigned", "Attach", "Attached", "Available", "Detach", "Set.assignment", "Unassign")]
    return rows


@case("hostile: every method with every kind of argument and payload")
def _(t):
    texts = ["", "x", "..", "../../etc/passwd", "/", "a/b", "work", "root", "private", "+", "++", "sys-usb+sda", "_+_",
             "%s%n", "'", "\"", "\n", "\t", "a" * 300, "A" * 5000, "-1", "0", "99999999999999999999", "True", "*", "::",
             "uuid:", "uuid:" + "0" * 36, "name=", "created-by-", "label-1", "label-99999999999", "\x01", "\x7f"]
    payloads = ["", "x", "\0", "\0" * 100, "\xff\xfe", "name=a label=red", "1", "-", "=" * 50, "a=b\n" * 500,
                "mode='required'", "mode='required' mode='x'", "_='", "action=accept " * 100, "action=accept\n" * 2000,
                "u" * 7, "*" * 7000, "%" * 100, "x" * 60000]
    socks = {"a": "qubesd.sock", "i": "qubesd.internal.sock", "q": "qubesd.misc.sock"}
    with Small() as a:
        a.ok("admin.vm.Start", dest="net")
        count = 0
        for method in all_methods():
            if method in ("admin.Events", "admin.vm.Stats"):
                continue
            for i, text in enumerate(texts):
                dest = ("dom0", "work", "net", "dvm")[count % 4]
                payload = payloads[count * 7 % len(payloads)]
                source = "work" if count % 3 == 0 else "dom0"
                count += 1
                reply = a.ask("%s+%s %s name %s\0%s" % (method, text, source, dest, payload), socks[method[0]])
                truth(reply[:2] in (b"0\0", b"2\0", b""), reply[:60])
        a.ok("admin.vm.List")
        equal(a.admin.poll(), None)


@case("hostile: what a qube writes about its devices")
def _(t):
    nasty = ["", "x" * 3000, "\x01\x02", "%s", "'", "a'b", "0000:0000", "1:2", "\\x", "\\x2", "\\x41" * 500, ":::", "(", ")"]
    with Small() as a:
        a.ok("admin.vm.Start", dest="net")
        qdb = a.databases["net"]
        for i, text in enumerate(nasty):
            for key in ("desc", "size", "mode", "parent", "interfaces", "usb-ver"):
                qdb.entries["/qubes-block-devices/sd%d/%s" % (i, key)] = text
                qdb.entries["/qubes-usb-devices/1-%d/%s" % (i, key)] = text
        for path in ("/qubes-block-devices/", "/qubes-block-devices//", "/qubes-block-devices/../x/desc",
                     "/qubes-usb-devices/1-/desc", "/qubes-usb-devices/-/desc", "/qubes-usb-devices/1-1_/desc",
                     "/qubes-block-devices/aaaaaaaaaaaaaaaaaaaaaaaaa/desc", "/qubes-block-devices/SDA/desc"):
            qdb.entries[path] = "x"
        qdb.entries["/qubes-block-devices/sda/parent"] = "sdb"
        qdb.entries["/qubes-block-devices/sdb/parent"] = "sda"
        qdb.entries["/qubes-block-devices/sda/desc"] = qdb.entries["/qubes-block-devices/sdb/desc"] = "loop ()"
        qdb.write("/qubes-block-devices", "")
        ac.until(lambda: "sda" in a.ok("admin.vm.device.block.Available", dest="net"))
        for klass in ("block", "usb"):
            for line in a.ok("admin.vm.device.%s.Available" % klass, dest="net").splitlines():
                truth(all(" " <= c <= "~" for c in line), line)


if __name__ == "__main__":
    main()
