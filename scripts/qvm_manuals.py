#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qvm_manuals.py QVM [--check]: the manual pages of the qvm-* commands, doc/man/qvm-*.1 and qubes-prefs.1.

Options and arguments come from the commands themselves (--describe-arguments), so a page cannot name
one that does not exist; what they mean together stands here. With --check nothing is written: TAP
says which pages are not what would be written.
"""
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATE = "November 28, 2026"
SUBCOMMANDS = {
    "qvm-device": [["block", c] for c in ("list", "attach", "detach", "assign", "unassign", "info")],
    "qvm-firewall": [["vm", "add"], ["vm", "del"]],
    "qvm-pool": [[c] for c in ("drivers", "list", "info", "add", "remove", "set")],
    "qvm-volume": [[c] for c in ("list", "info", "config", "resize", "revert", "import", "clear", "clone")],
}
for name in ("qvm-block", "qvm-pci", "qvm-usb"):
    SUBCOMMANDS[name] = [words[1:] for words in SUBCOMMANDS["qvm-device"]]

# What a page says beyond its options, in mdoc; and its exit status where it is not the usual one.
DEVICE = """A device has an address,
.Ar BACKEND : Ns Ar PORT :
the qube that has it, and where it is there.
.Cm attach
gives it to a qube that runs, until one of them stops;
.Cm assign
keeps it for a qube: with
.Fl Fl required
the qube does not start without it, otherwise it is attached whenever it is there, and with
.Fl Fl ask
after a question.
.Cm list
shows who uses each device; an assignment that is not attached has a star.
"""
PREFS = """Without a property all are listed: name, origin and value.
The origin is
.Ql D
for a default,
.Ql -
for a value that was set and
.Ql U
where there is no value.
References to qubes are set by name;
.Ql none
or an empty text takes them away.
"""
TEXTS = {
    "qvm-check": ("Without an option the question is whether the qubes exist.\n",
                  "0 all of the qubes are what was asked, 3 some are, 1 none is; 2 wrong usage."),
    "qvm-clone": ("Properties that were set, tags, features, notes, firewall rules, volumes and assignments of devices"
                  " are copied.\nWhere one of them cannot be, the copy is taken away again.\n", None),
    "qvm-create": ("A qube of class AppVM gets its root volume from a template,"
                   " the default one if none is given.\n", None),
    "qvm-ls": ("""Rows are sorted by name.
.Ss Formats
.Bl -tag -width Ds
.It Cm simple
name, state, class, label, template, netvm; the default.
.It Cm network
name, state, netvm, ip, ipback, gateway.
.It Cm full
name, state, class, label, qid, xid, uuid.
.It Cm prefs
name, label, template, netvm, vcpus, initialmem, maxmem, virt-mode.
.It Cm disk
name, state and use of the volumes in MiB and percent.
.It Cm kernel
name, state, class, template, kernel, kernelopts.
.El
.Pp
Column FLAGS has a letter for the class (0 dom0, t template, a app, s standalone, d disposable;
a capital for full virtualisation),
one for the state (r running, t transient, p paused, s suspended, h halting, d dying, c crashed),
then U updateable, N gives others a network, R installed by a package, i internal, D debug, A started at boot.
""", None),
    "qvm-prefs": (PREFS, None),
    "qubes-prefs": (PREFS, None),
    "qvm-run": ("""One word is a command line for a shell in the qube;
more are a program and its arguments, as with
.Fl Fl no-shell .
A halted qube is started first, a paused one goes on.
Without
.Fl Fl pass-io
there is no input and no output.
Output towards a terminal is shown in colour, and what could drive the terminal is replaced.
""", "The status of the command; 1 where it was not started; 2 wrong usage."),
    "qvm-shutdown": ("With\n.Fl Fl wait\na qube that others use is tried once more after those have ended.\n", None),
    "qvm-volume": ("A volume is\n.Ar VMNAME : Ns Ar VOLUME ,\nfor example\n.Ql work:private .\n", None),
    "qvm-firewall": ("""A rule is a list of
.Ar KEY Ns = Ns Ar VALUE :
.Cm action
(accept, drop),
.Cm dst4 , dst6 , dsthost ,
.Cm proto
(tcp, udp, icmp),
.Cm dstports
(N or N-M),
.Cm icmptype ,
.Cm specialtarget
(dns),
.Cm expire
(a time in seconds since 1970) and
.Cm comment .
The first four may stand without their keys, in this order.
""", None),
    "qvm-device": (DEVICE, None), "qvm-block": (DEVICE, None), "qvm-pci": (DEVICE, None), "qvm-usb": (DEVICE, None),
}
EXAMPLES = {
    "qvm-create": ["qvm-create -l blue -t debian-13 --prop netvm=sys-net work"],
    "qvm-firewall": ["qvm-firewall work add --before 0 accept dsthost=example.org proto=tcp dstports=443"],
    "qvm-ls": ["qvm-ls --running --fields name,state,memory", "qvm-ls --raw-list --class AppVM --tags project"],
    "qvm-prefs": ["qvm-prefs work memory 800", "qvm-prefs -D work netvm"],
    "qvm-run": ["qvm-run -p work 'ls -l ~'", "qvm-run -p work -- cat '/home/user/a file'"],
    "qvm-block": ["qvm-block attach --ro work sys-usb:sda1"],
    "qvm-volume": ["qvm-volume resize work:private 10GiB"],
    "qvm-pool": ["qvm-pool add fast file-reflink -o dir_path=/mnt/fast"],
}


def describe(qvm, words):
    out = subprocess.run([qvm] + words + ["--describe-arguments"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def escape(text):
    text = text.replace("\\", "\\e")
    return "\\&" + text if text.startswith((".", "'")) else text


def sentence(text):
    return text[0].upper() + text[1:].rstrip(".") + "."


def option_macro(name):
    return "Fl Fl " + name[2:] if name.startswith("--") else "Fl " + name[1:]


def arguments_macro(text):
    """"[NAME ...]", "NAME [NAME ...]", "[NAME]" as mdoc."""
    if not text:
        return ""
    if text == "...":
        return "Ar ARG ..."
    name = re.sub(r" \[.*", "", text).strip("[]").replace(" ...", "")
    many = " ..." if text.endswith("...]") else ""
    return ("Op " if text.startswith("[") else "") + "Ar " + escape(name) + many


def row_lines(row):
    """The item of a list: every name with its arguments."""
    if not row["names"]:
        return ".It " + arguments_macro(row["arguments"])
    return ".It " + " , ".join((option_macro(n) + " " + arguments_macro(row["arguments"])).strip() for n in row["names"])


def synopsis(described):
    words = described["name"].split(" ")
    lines = [".Nm " + words[0]] + [".Cm " + w for w in words[1:]]
    for row in described["rows"]:
        macro = arguments_macro(row["arguments"])
        if row["names"]:
            lines.append((".Op " + option_macro(row["names"][0]) + " " + macro).strip())
        elif row["arguments"].startswith("{"):
            lines.append(".Op Ar COMMAND ...")
        else:
            lines.append("." + macro)
    return lines


def options(described, skip_common):
    rows = [r for r in described["rows"] if not (skip_common and set(r["names"]) & COMMON) and
            not r["arguments"].startswith("{")]
    lines = [".Bl -tag -width Ds"] if rows else []
    for row in rows:
        lines += [row_lines(row)] + wrap(sentence(row["help"]))
    return lines + ([".El"] if rows else [])


COMMON = {"--verbose", "--quiet", "--help", "--version"}


def wrap(text, width=78):
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(escape(line))
            line = word
        else:
            line = (line + " " + word).strip()
    return lines + ([escape(line)] if line else [])


def page(qvm, name, summary):
    described = describe(qvm, [name])
    text, status = TEXTS.get(name, ("", None))
    lines = ['.\\" SPDX-License-Identifier: GPL-2.0-or-later', '.\\" Made by scripts/qvm_manuals.py.',
             ".Dd " + DATE, ".Dt %s 1" % name.upper(), ".Os Skerry", ".Sh NAME", ".Nm " + name, ".Nd " + summary,
             ".Sh SYNOPSIS"] + synopsis(described)
    lines += [".Sh DESCRIPTION"] + wrap(described["description"])
    if described["epilog"] and name not in ("qvm-prefs", "qubes-prefs", "qvm-check"):
        lines += wrap(described["epilog"])
    lines += [part for line in text.rstrip("\n").split("\n") if text
              for part in ([line] if line.startswith(".") else wrap(line))]
    lines += [".Pp", "The options are as follows."] + options(described, False)
    for words in SUBCOMMANDS.get(name, []):
        sub = describe(qvm, [name] + words)
        lines += [".Ss " + words[-1]] + wrap(sub["description"]) + options(sub, True)
    lines += [".Sh EXIT STATUS"]
    lines += wrap(status or "0 done; 1 refused or failed, with the cause on standard error; 2 wrong usage.")
    if name in EXAMPLES:
        lines += [".Sh EXAMPLES"]
        for example in EXAMPLES[name]:
            lines += [".Dl " + escape(example)]
    return "\n".join(lines + [".Sh SEE ALSO", ".Xr qvm 1 ,", ".Xr skerry 1"]) + "\n"


def main():
    qvm, checking = sys.argv[1], "--check" in sys.argv
    listed = subprocess.run([qvm, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    commands = [line.split(None, 1) for line in listed if line.startswith("  q")]
    stale = 0
    if checking:
        print("1..%d" % len(commands))
    for number, (name, summary) in enumerate(commands, 1):
        path = os.path.join(TOP, "doc", "man", name + ".1")
        text = page(qvm, name, summary.strip().replace("…", "and more"))
        if not checking:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            continue
        try:
            with open(path, encoding="utf-8") as f:
                same = f.read() == text
        except FileNotFoundError:
            same = False
        stale += not same
        print("%sok %d - %s.1%s" % ("" if same else "not ", number, name,
                                    "" if same else "\n# run scripts/qvm_manuals.py QVM"))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
