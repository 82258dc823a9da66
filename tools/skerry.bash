# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for skerry(1): the subcommands and the options come from its own --help.
_skerry() {
	local current=${COMP_WORDS[COMP_CWORD]} words
	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$(skerry --help 2>/dev/null | awk '/^  [a-z]/ { print $1 }')
		words="$words --root= --json --no-color --help --version"
	else
		words=$(skerry "${COMP_WORDS[1]}" --help 2>&1 | grep -o -- '--[a-z-]*=\?')
		words="$words --json --no-color"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _skerry skerry
