#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# For qubes-dom0-update of dom0, which laid its repositories into /var/lib/qubes/dom0-updates: downloads
# packages there by dnf, without installing any, and sends them to dom0.
# qubes-download-dom0-updates.sh [--doit] [--nogui] [--check-only] [--clean] [--action=ACTION]
#                                [DNF-OPTION...] [PACKAGE...]
# With --check-only: 100 if there is something newer than dom0 has, 0 if not.
set -u
root=${SKERRY_ROOT-}
dir=$root/var/lib/qubes/dom0-updates
# Where dom0 lays it in a qube whose system nobody changes.
[ -w "$dir" ] || dir=$HOME/.cache/qubes-dom0-updates
check=
clean=
action=
packages=0
n=$#
while [ "$n" -gt 0 ]; do
	word=$1
	shift
	n=$((n - 1))
	case $word in
	--doit | --nogui | --gui) ;;
	--check-only) check=1 ;;
	--clean) clean=1 ;;
	--action=*) action=${word#*=} ;;
	-*) set -- "$@" "$word" ;;
	*)
		set -- "$@" "$word"
		packages=$((packages + 1))
		;;
	esac
done
dnf=$(command -v dnf5 || command -v dnf) || {
	echo "no dnf in this qube, which fetches updates for dom0: install it in its template" >&2
	exit 1
}
if ! [ -d "$dir/etc/yum.repos.d" ]; then
	echo "$dir/etc/yum.repos.d: no repositories; they come from qubes-dom0-update in dom0" >&2
	exit 1
fi
[ -n "$action" ] || if [ "$packages" -gt 0 ]; then action=install; else action=upgrade; fi
# As root of what it installs into, which nothing is.
as_root=$(command -v fakeroot)
run() {
	# shellcheck disable=SC2086 # nothing, if there is no fakeroot
	$as_root "$dnf" --installroot="$dir" --setopt=reposdir="$dir/etc/yum.repos.d" --setopt=keepcache=1 \
		--setopt=cachedir="$dir/var/cache/dnf" --setopt=varsdir="$dir/etc/yum/vars" -y "$@"
}
[ "$dir" = /var/lib/qubes/dom0-updates ] ||
	sed -i "s|file:///var/lib/qubes/dom0-updates/|file://$dir/|" "$dir/etc/yum.repos.d"/* || exit 1
rm -rf "$dir/packages"
[ -z "$clean" ] || run -q clean all || exit 1
if [ -n "$check" ]; then
	# Who ends a line: dnf, or the format.
	end=
	case $dnf in *dnf5) end='\n' ;; esac
	found=$(run -q repoquery --latest-limit=1 --qf "%{name} %{version}$end" "$@") || exit 1
	[ -n "$found" ] || exit 0
	have=$(cat "$dir/etc/skerry-dom0-version" 2>/dev/null)
	# One that dom0 does not have at all counts.
	newest=$(echo "$found" | sed -n 's/^skerry-dom0 //p' | sort -V | tail -n 1)
	if [ "$(echo "$found" | grep -cv '^skerry-dom0 ')" -eq 0 ] && [ -n "$have" ] &&
		[ "$(printf '%s\n' "$have" "$newest" | sort -V | tail -n 1)" = "$have" ]; then
		exit 0
	fi
	echo "$found"
	exit 100
fi
rm -rf "$dir/var/cache/dnf"/*/packages
mkdir -p "$dir/packages" || exit 1
run --downloadonly --downloaddir="$dir/packages" "$action" "$@" || exit 1
exec "$root/usr/lib/qubes/qubes-download-dom0-updates-finish.sh"
