#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# install_link.sh TARGET FOLDER NAME: a symbolic link in an installed folder. Meson's own refuses targets
# that are no file, which the addresses of socket services (/dev/tcp/…) are not.
set -eu
case $2 in
/*) folder=${DESTDIR:-}$2 ;;
*) folder=$MESON_INSTALL_DESTDIR_PREFIX/$2 ;;
esac
mkdir -p "$folder"
ln -sfn "$1" "$folder/$3"
