#!/bin/bash
# cache_tests.sh DIR   The public tests of HTTP caches (cache-tests.fyi), from npm into DIR: without what it depends
# on, which its cases and its origin server do not need.
set -eu

version=0.4.5
sum=0e3bb037d9d46572d35bec1abf52d1112099355c65f12b21c0ecb8cf5a71b966d6b79fdacbab0cf5043595e6c16833ba3f520c0682ba99d7fe3ee54ffd034bf0
dir=$1

rm -rf "$dir"
mkdir -p "$dir"
npm pack --silent --pack-destination "$dir" "http-cache-tests@$version" >/dev/null || {
    echo "The tests of HTTP caches are missing and cannot be fetched: connect to the network once (make clean keeps" \
        "what was fetched)." >&2
    exit 1
}
echo "$sum  $dir/http-cache-tests-$version.tgz" | sha512sum --quiet -c -
tar -xzf "$dir/http-cache-tests-$version.tgz" -C "$dir" --strip-components=1
rm "$dir/http-cache-tests-$version.tgz"
touch "$dir/.stamp"
