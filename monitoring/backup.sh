#!/bin/bash
# Saves all that a Prometheus server knows into one archive while it runs, and lays it out again for a new server.
#
#   backup.sh [--in COMMAND] save PROMETHEUS_URL DATA_DIR ARCHIVE.tar.gz
#   backup.sh [--in COMMAND] restore ARCHIVE.tar.gz EMPTY_DIR
#
# The server needs --web.enable-admin-api. DATA_DIR is its --storage.tsdb.path; EMPTY_DIR becomes that of the new server.
# --in: where the folder is in a container, what runs a command there, as in --in 'docker compose exec -T prometheus'.
set -euo pipefail

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
}
fail() {
  echo "backup.sh: $1" >&2
  exit 1
}

# Nothing half done stays behind, whatever ends the script: no snapshot in the server's folder, no part of an archive.
leftovers() {
  if [ -n "${snapshot-}" ]; then
    "${in[@]}" rm -rf "$snapshot" || echo "backup.sh: could not delete $snapshot, which keeps old blocks on the disk" >&2
  fi
  if [ -n "${part-}" ]; then rm -f "$part"; fi
}

save() {
  local url=${1%/} data=${2%/} archive=$3 answer status files names blocks saved
  command -v curl >/dev/null || fail 'curl is missing: apt-get install curl'
  [ ! -e "$archive" ] || fail "$archive is there already"
  part=$archive.part
  [ -w "$(dirname "$part")" ] || fail "cannot write $part"
  "${in[@]}" test -d "$data/wal" || fail "$data is no data folder of a Prometheus server, or cannot be read"

  # Hard links to the blocks, and the newest samples as a block of their own: whole, and still while the server goes on.
  answer=$(curl -sS -X POST -w '\n%{http_code}' "$url/api/v1/admin/tsdb/snapshot") || fail "no server answers at $url"
  status=${answer##*$'\n'}
  case $answer in
    *'admin APIs disabled'*) fail "the server's admin API is off: start it with --web.enable-admin-api" ;;
    *'"status":"success"'*) ;;
    *) fail "$url answers $status, and may leave half a snapshot in $data/snapshots to delete: ${answer%$'\n'*}" ;;
  esac
  [[ $answer =~ \"name\":\"([0-9A-Za-z-]+)\" ]] || fail "$url names no snapshot: ${answer%$'\n'*}"
  snapshot=$data/snapshots/${BASH_REMATCH[1]}
  if ! files=$("${in[@]}" find "$snapshot" -type f | wc -l); then
    local missing=$snapshot
    snapshot=
    fail "the snapshot is not at $missing: is $data the --storage.tsdb.path of the server at $url? Delete it there"
  fi

  "${in[@]}" tar -C "$snapshot" -cf - . | gzip >"$part" || fail "the archive was not written: see the line above"
  # Reads all of it, with its checksum.
  names=$(tar -tzf "$part") || fail "$part cannot be read again"
  blocks=$(grep -c '/meta\.json$' <<<"$names") || fail 'the snapshot is empty: the server has no samples yet'
  saved=$(grep -vc '/$' <<<"$names")
  [ "$saved" -eq "$files" ] || fail "$saved of $files files arrived in the archive"
  mv "$part" "$archive"
  part=
  echo "$archive: $blocks blocks, $(du -h "$archive" | cut -f1)"
}

restore() {
  local archive=$1 folder=${2%/} names blocks there
  [ -r "$archive" ] || fail "cannot read $archive"
  names=$(tar -tzf "$archive") || fail "$archive is no whole archive"
  blocks=$(grep -c '^\./[0-9A-Z]\{26\}/meta\.json$' <<<"$names") || fail "$archive holds no blocks of Prometheus"
  "${in[@]}" mkdir -p "$folder" || fail "cannot make $folder"
  there=$("${in[@]}" ls -A "$folder") || fail "cannot read $folder"
  [ -z "$there" ] || fail "$folder is not empty"
  gzip -dc "$archive" | "${in[@]}" tar -C "$folder" -xf - || fail "$folder is not whole: see the line above, and empty it before you try again"
  echo "$folder: $blocks blocks. Its owner must be the server's user, and its server's retention no shorter than before."
}

in=()
if [ "${1-}" = --in ] && [ $# -ge 2 ]; then
  read -r -a in <<<"$2"
  shift 2
fi
trap leftovers EXIT
case ${1-}:$# in
  save:4) save "$2" "$3" "$4" ;;
  restore:3) restore "$2" "$3" ;;
  -h:1 | --help:1) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
