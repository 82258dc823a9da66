# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a document or picture from elsewhere would stay as dangerous as it came, or be lost.
"""PDF and picture conversion: real renderers in one qube, the strict reader in the other."""

from services_common import *

POLICY = """
qubes.PdfConvert    *  work  disp  allow
qubes.GetImageRGBA  *  work  disp  allow
qubes.PdfConvert    *  work  @dispvm  allow target=disp
qubes.GetImageRGBA  *  work  @dispvm  allow target=disp
"""
QUBES = ("work", "disp")


def pdf(pages, extra=b""):
    """A small PDF: a text on each page, and things that nobody wants in a document."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>",
               b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), b" ".join(
                   b"%d 0 R" % (4 + 2 * i) for i in range(len(pages)))),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for i, text in enumerate(pages):
        stream = b"BT /F 48 Tf 20 40 Td (%s) Tj ET" % text
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents %d 0 R /Resources "
                       b"<< /Font << /F 3 0 R >> >> /Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A "
                       b"<< /S /URI /URI (http://evil.example/) >> >>] >>" % (5 + 2 * i))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    data, places = b"%PDF-1.4\n" + extra, []
    for i, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    return data + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


def home(sut, name, content=None):
    path = sut.inside("work", "home/user", name)
    if content is not None:
        sut.write("q/work/home/user/" + name, content)
    return path


def info(path):
    got = subprocess.run(["pdfinfo", path], capture_output=True, timeout=HANG, check=True).stdout.decode()
    return dict((k.strip(), v.strip()) for k, v in (line.split(":", 1) for line in got.splitlines() if ":" in line))


def pixels_of(t, path, page):
    """RGB of the picture that is a page of a PDF file."""
    subprocess.run(["pdfimages", "-png", "-f", str(page), "-l", str(page), path, t.path("p")], timeout=HANG, check=True)
    return subprocess.run(["gm", "convert", t.path("p-000.png"), "-depth", "8", "RGB:-"], capture_output=True,
                          timeout=HANG, check=True).stdout


# If this failed, there would be no safe way to read a document that somebody sent.
@services("qvm-convert-pdf: what it looked like, and nothing else of it", qubes=QUBES, policy=POLICY)
def _(t, sut):
    if NEEDS:
        raise Skip(NEEDS)
    home(sut, "letter.pdf", pdf([b"One", b"Two", b"Three"]))
    got = sut.run("work", "qvm-convert-pdf", "-r", "72", "letter.pdf")
    equal((got.returncode, got.stdout), (0, b"letter.trusted.pdf\n"), got.stderr)
    with open(home(sut, "letter.trusted.pdf"), "rb") as file:
        data = file.read()
    for word in (b"JavaScript", b"/URI", b"evil", b"/Font", b"/Annot", b"OpenAction", b"(One)"):
        check(word not in data, word)
    facts = info(home(sut, "letter.trusted.pdf"))
    equal((facts["Pages"], facts["Page size"]), ("3", "200 x 100 pts"))
    # The pixels of each page are those that the document has when it is rendered.
    for page in (1, 2, 3):
        shot = subprocess.run(["pdftoppm", "-r", "72", "-f", str(page), "-l", str(page), home(sut, "letter.pdf")],
                              capture_output=True, timeout=HANG, check=True).stdout
        equal(shot[:15], b"P6\n200 100\n255\n")
        check(len(set(shot[15:])) > 2, "an empty page")
        equal(pixels_of(t, home(sut, "letter.trusted.pdf"), page), shot[15:], f"page {page}")
    # An older file is not replaced without being told to; the document stays.
    got = sut.run("work", "qvm-convert-pdf", "letter.pdf")
    check(got.returncode == 1 and b"--force" in got.stderr, got.stderr)
    equal(sut.run("work", "qvm-convert-pdf", "-q", "-f", "-r", "30", "letter.pdf").stdout, b"")
    width = float(info(home(sut, "letter.trusted.pdf"))["Page size"].split()[0])
    check(199 < width < 203, f"the page's size does not depend on the resolution: {width}")
    equal(sut.run("work", "qvm-convert-pdf", "-a", home(sut, "old"), "-o", "new.pdf", "letter.pdf").returncode, 0)
    equal(sorted(os.listdir(home(sut, "old"))), ["letter.pdf"])
    check(not os.path.exists(home(sut, "letter.pdf")), "moved")
    # Pictures are documents of one page.
    home(sut, "photo.png", png(3, 2, bytes(range(24))))
    equal(sut.run("work", "qvm-convert-pdf", "photo.png").returncode, 0)
    equal(info(home(sut, "photo.trusted.pdf"))["Pages"], "1")


# If this failed, a damaged or hostile document would leave half a file, or none and no word why.
@services("qvm-convert-pdf: documents that cannot be rendered", qubes=QUBES, policy=POLICY)
def _(t, sut):
    if NEEDS:
        raise Skip(NEEDS)
    good = pdf([b"One"])
    for name, content in (("empty.pdf", b""), ("cut.pdf", good[:60]), ("noise.pdf", b"%PDF-1.7\n" + os.urandom(5000))):
        home(sut, name, content)
        got = sut.run("work", "qvm-convert-pdf", name)
        equal((got.returncode, got.stdout), (1, b""), name)
        check(b"could not render" in got.stderr or b"LibreOffice" in got.stderr, got.stderr)
    home(sut, "text.odt", b"no document that is known")
    got = sut.run("work", "qvm-convert-pdf", "text.odt")
    check(got.returncode == 1 and (b"LibreOffice" in got.stderr or shutil.which("soffice")), got.stderr)
    equal(sut.run("work", "qvm-convert-pdf", "nosuch.pdf").returncode, 1)
    equal(sut.run("work", "qvm-convert-pdf").returncode, 2)
    equal(sut.run("work", "qvm-convert-pdf", "-r", "9", "cut.pdf").returncode, 2)
    sut.write("etc/qubes/policy.d/30-user.policy", "qubes.PdfConvert * @anyvm @anyvm deny notify=no\n")
    home(sut, "good.pdf", good)
    wait_for(lambda: b"the policy refuses" in sut.run("work", "qvm-convert-pdf", "good.pdf").stderr, "refusal")
    left = [n for n in os.listdir(home(sut, "")) if "trusted" in n]
    equal(left, [], "files that are left behind")


PAGE = b"2 1\n" + bytes(range(6))


# If this failed, a disposable that was taken over could make this qube write more, or other, than pages.
@services("services-014 qvm-convert-pdf: hostile answers, and one cut at every byte", qubes=QUBES, policy=POLICY)
def _(t, sut):
    home(sut, "a.pdf", b"%PDF-")
    answer = sut.inside("disp", "home/user/answer")

    def convert(data, status=0):
        sut.write("q/disp/home/user/answer", data)
        sut.service("disp", "qubes.PdfConvert", f"#!/bin/sh\ncat >/dev/null\ncat {answer}\nexit {status}\n")
        return sut.run("work", "qvm-convert-pdf", "-q", "-f", "a.pdf")
    os.unlink(sut.inside("disp", "etc/qubes-rpc/qubes.PdfConvert"))
    out = home(sut, "a.trusted.pdf")
    for data, said in ((b"10001\n", b"number of pages"), (b"0\n", b"number of pages"), (b"+1\n", b"number of pages"),
                       (b"1 \n", b"number of pages"), (b"999999999999", b"number of pages"), (b"1\r\n", b"number"),
                       (b"\n", b"number of pages"), (b"1\n10001 1\n", b"10000"), (b"1\n1 10001\n", b"10000"),
                       (b"1\n0 1\n", b"no size"), (b"1\n-1 1\n", b"no size"), (b"1\n2 1", b"no size"),
                       (b"1\n2  1\n", b"no size"), (b"1\n" + PAGE + b"x", b"after the last page"),
                       (b"1\n" + PAGE + PAGE, b"after the last page"),
                       (b"200\n" + b"10000 10000\n" + b"\0" * 1000, b"ended too early")):
        got = convert(data)
        check(got.returncode == 1 and said in got.stderr, (data[:20], got.stderr))
        check(not os.path.exists(out), data[:20])
    whole = b"2\n" + PAGE + PAGE
    for length in range(len(whole)):
        got = convert(whole[:length])
        check(got.returncode == 1 and not os.path.exists(out), length)
    got = convert(whole, status=1)
    check(got.returncode == 1 and not os.path.exists(out), "the service failed")
    got = convert(whole)
    equal(got.returncode, 0, got.stderr)
    if not NEEDS:
        equal(info(out)["Pages"], "2")
        for page in (1, 2):
            equal(pixels_of(t, out, page), bytes(range(6)), "pixels in the file")
    equal(sorted(n for n in os.listdir(home(sut, "")) if n.startswith("a.")), ["a.pdf", "a.trusted.pdf"])


# If this failed, a password would reach the wrong place, or a document would be opened without it.
@services("qvm-convert-pdf: the password goes before the document", qubes=QUBES, policy=POLICY)
def _(t, sut):
    home(sut, "a.pdf", b"%PDF-rest\nmore")
    os.unlink(sut.inside("disp", "etc/qubes-rpc/qubes.PdfConvert"))
    seen = sut.inside("disp", "home/user/seen")
    sut.service("disp", "qubes.PdfConvert", f"#!/bin/sh\ncat >{seen}\nprintf '1\\n1 1\\nabc'\n")
    equal(sut.run("work", "qvm-convert-pdf", "-p", "two words", "a.pdf").returncode, 0)
    with open(seen, "rb") as file:
        equal(file.read(), b"--password=two words\n%PDF-rest\nmore")
    equal(sut.run("work", "qvm-convert-pdf", "-p", "x\ny", "-f", "a.pdf").returncode, 2)
    equal(sut.run("work", "qvm-convert-pdf", "-p", "x" * 1025, "-f", "a.pdf").returncode, 1)


# If this failed, pictures from elsewhere could only be looked at with the readers that they were made to attack.
@services("qvm-convert-img and GetImageRGBA: pixels, with their transparency", qubes=QUBES, policy=POLICY)
def _(t, sut):
    if NEEDS:
        raise Skip(NEEDS)
    pixels = bytes([255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0, 10, 20, 30, 64])
    home(sut, "in.png", png(2, 2, pixels))
    got = sut.run("work", "qvm-convert-img", "in.png", "out.png")
    equal(got.returncode, 0, got.stderr)
    with open(home(sut, "out.png"), "rb") as file:
        equal(read_png(file.read()), (2, 2, pixels))
    check(b"--force" in sut.run("work", "qvm-convert-img", "in.png", "out.png").stderr, "exists")
    got = sut.call("work", "disp", "qubes.GetImageRGBA", b"PNG:-\n" + png(2, 2, pixels))
    equal((got.returncode, got.stdout), (0, b"2 2\n" + pixels))
    svg = (b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"><rect width="4" height="2" '
           b'fill="#00ff00"/></svg>')
    sut.folder("q", "disp", "usr/share/icons/hicolor/scalable/apps")
    sut.write("q/disp/usr/share/icons/hicolor/scalable/apps/green.svg", svg)
    got = sut.call("work", "disp", "qubes.GetImageRGBA", b"xdgicon:green\n").stdout
    equal((got[:8], got[8:12]), (b"512 256\n", b"\0\xff\0\xff"))
    path = sut.inside("disp", "usr/share/icons/hicolor/scalable/apps/green.svg").encode()
    equal(sut.call("work", "disp", "qubes.GetImageRGBA", path + b"\n").returncode, 0, "a path")
    for request in (b"", b"\n", b"xdgicon:nosuch\n", b"xdgicon:../green\n", b"/nosuch\n", b"/etc/passwd\n", b"-",
                    b"-\n", b"-\n" + os.urandom(100), b"-\npush graphic-context\nimage over 0,0 0,0 'x'\n",
                    b"MVG:-\npush graphic-context\n", b"x" * 5000):
        got = sut.call("work", "disp", "qubes.GetImageRGBA", request)
        check(got.returncode == 1 and got.stdout == b"", (request[:20], got))


# If this failed, a picture would be made of what a disposable that was taken over sends besides it.
@services("services-005 qvm-convert-img: hostile answers, and one cut at every byte", qubes=QUBES, policy=POLICY)
def _(t, sut):
    home(sut, "in.png", b"x")
    os.unlink(sut.inside("disp", "etc/qubes-rpc/qubes.GetImageRGBA"))
    answer, out = sut.inside("disp", "home/user/answer"), home(sut, "out.png")
    sut.service("disp", "qubes.GetImageRGBA", f"#!/bin/sh\ncat >/dev/null\ncat {answer}\n")

    def convert(data):
        sut.write("q/disp/home/user/answer", data)
        return sut.run("work", "qvm-convert-img", "-f", "in.png", "out.png")
    whole = b"2 1\n" + bytes(range(8))
    for data in [b"8193 1\n", b"1 5121\n", b"0 1\n", b"+1 1\n", b"1 1 \n", b"1 1\r\n", b"1\n", b"99999999999\n"] + [
            whole[:length] for length in range(len(whole))]:
        got = convert(data)
        check(got.returncode == 1 and not os.path.exists(out), data)
    equal(convert(whole + b"more").returncode, 0, "more is not read")
    with open(out, "rb") as file:
        equal(read_png(file.read()), (2, 1, bytes(range(8))))


if __name__ == "__main__":
    main()
