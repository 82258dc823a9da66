#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# setup.sh TREE...: install what is missing (apt), then configure and build the named trees below
# build/. Used by ./run and ./test. Says what it does; the output of a tool is shown if it fails.
#
#   release  as installed: hardened, static where it can be     (gcc)
#   san      address and undefined-behaviour sanitizers          (gcc)
#   clang    as release, by the other compiler
#   fuzz     libFuzzer targets                                   (clang)
#   attack   release with attacker code inside; for the confinement tests
#   cov      counting which lines and branches were run          (gcc)
set -eu
cd "$(dirname "$0")/.."
top=$PWD
mkdir -p build
export CCACHE_DIR="${CCACHE_DIR:-$top/build/ccache}"

build_packages="gcc libc6-dev meson ninja-build pkg-config python3 libseccomp-dev libjson-c-dev
libsodium-dev zlib1g-dev libpam0g-dev libcmocka-dev libsqlite3-dev libxen-dev liblzma-dev libbz2-dev liblzo2-dev
libzstd-dev bubblewrap passt poppler-utils"
# Only the tier xen needs these.
xen_packages="qemu-system-x86 zstd xorriso grub-common grub-pc-bin grub-efi-amd64-bin mtools dosfstools ovmf e2fsprogs kmod signify-openbsd"
test_packages="clang clang-format graphviz clang-tidy cppcheck shellcheck codespell mandoc spin binutils strace
util-linux poppler-utils graphicsmagick librsvg2-bin gnupg openssh-client scrypt gzip xz-utils zstd sqv rpm signify-openbsd"

say() { printf '%s\n' "setup: $*" >&2; }

missing_of() {
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
	done
}

install_packages() {
	if ! command -v dpkg-query >/dev/null; then
		say "not a Debian system; expecting the counterparts of:" "$@"
		return 0
	fi
	missing=$(missing_of "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		as_root=sudo
	else
		say "these packages are missing, and this needs root or sudo to install them:"
		say "  apt-get install $missing"
		return 1
	fi
	say "installing $missing"
	# shellcheck disable=SC2086 # a list of words
	{ $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $missing ||
		{ $as_root apt-get -qq update &&
			$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $missing; }; } \
		>build/apt.log 2>&1 || { tail -20 build/apt.log >&2; return 1; }
}

# The run-time libraries of the sanitizers come apart from clang, with its version in their name.
install_clang_runtime() {
	version=$(clang -dumpversion | cut -d. -f1)
	install_packages "libclang-rt-$version-dev"
}

configure() {
	case $1 in
	release) CC=gcc meson setup "build/$1" ;;
	san) CC=gcc meson setup "build/$1" -Db_sanitize=address,undefined -Db_lundef=false ;;
	clang) CC=clang meson setup "build/$1" ;;
	fuzz) CC=clang meson setup "build/$1" -Dfuzz=true -Db_lundef=false ;;
	attack) CC=gcc meson setup "build/$1" -Dattack=true ;;
	cov) CC=gcc meson setup "build/$1" -Db_coverage=true -Doptimization=0 ;;
	*) say "no tree is called $1"; return 2 ;;
	esac
}

# What goes into qubes, as it is installed: the local ground looks for it beside a build tree's programs.
lay_out() {
	DESTDIR="$top/build/$1/qube-tree" meson install -C "build/$1" --tags qube --no-rebuild --quiet >"build/$1.log" 2>&1 ||
		{ tail -20 "build/$1.log" >&2; return 1; }
}

build() {
	log=build/$1.log
	if [ ! -f "build/$1/build.ninja" ]; then
		rm -rf "build/$1"
		configure "$1" >"$log" 2>&1 || { tail -30 "$log" >&2; return 1; }
	fi
	say "building build/$1"
	targets=
	[ "$1" != fuzz ] || targets=fuzzers
	# shellcheck disable=SC2086 # a word or none
	ninja -C "build/$1" $targets >"$log" 2>&1 || { sed -n '/^FAILED:/,$p' "$log" | grep -vE '^(\[|ccache|gcc|clang|cc) ' | head -60 >&2; return 1; }
	# A warning that werror does not stop, the linker's for example, is a failure as well.
	if grep -E '(^|[^-_a-z])warning:' "$log" >&2; then return 1; fi
	[ "$1" = fuzz ] || lay_out "$1" || return 1
	# The whole of it as installed: what ./run starts, and the tests of the system.
	[ "$1" != release ] || scripts/stage.sh
}

# shellcheck disable=SC2086 # lists of words
case "${SKERRY_SETUP:-} $*" in
*test*) install_packages $build_packages $test_packages $xen_packages && install_clang_runtime ;;
*) install_packages $build_packages ;;
esac
# shellcheck disable=SC2086
case " $* " in
*" xen "*) install_packages $xen_packages ;;
esac
case " $* " in
*" cov "*) install_packages gcovr ;;
esac
status=0
for tree in "$@"; do
	case $tree in test | xen) continue ;; esac
	build "$tree" || { say "build/$tree failed"; status=1; }
done
exit $status
