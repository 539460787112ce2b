# shellcheck shell=bash
# Sourced by scripts whose output is meant to be read: what happens, and the commands that do it.

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi

# A sentence for the reader.
tell() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Shows a command as one could type it, then runs it.
show() { # COMMAND_LINE
  printf '$ %s\n' "$1"
  eval "$1"
}
