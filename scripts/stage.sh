#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stage.sh [ROOT]: what ./run starts: the release tree installed below build/stage, and below ROOT the folders
# of a system that has ROOT in front of every path, with dom0's services and the default policy. What the user
# changed there stays.
set -eu
cd "$(dirname "$0")/.."
root=${1:-}
stage=$PWD/build/stage

# Links in the installed tree are those of a system without a prefix; here they lead into the stage.
rewrite_links() {
	find "$1" -type l | while read -r link; do
		target=$(readlink "$link")
		case $target in
		"$stage"/*) ;;
		/usr/*) ln -sfn "$stage$target" "$link" ;;
		esac
	done
}

if [ ! -f "$stage/.made" ] || [ -n "$(find build/release.log -newer "$stage/.made")" ]; then
	rm -rf "$stage"
	DESTDIR=$stage meson install -C build/release --no-rebuild >build/stage.log 2>&1 || {
		tail -20 build/stage.log >&2
		exit 1
	}
	rewrite_links "$stage/etc"
	: >"$stage/.made"
fi
[ -n "$root" ] || exit 0
mkdir -p "$root/etc"
cp -a -n "$stage/etc/." "$root/etc/"
# Links are ours and follow the newest build; files are the user's once they are there.
find "$stage/etc" -type l | while read -r link; do
	ln -sfn "$(readlink "$link")" "$root/etc/${link#"$stage/etc/"}"
done
