#!/bin/bash
# schema_tests.sh DIR   The standard's test suite of JSON Schema, draft 2020-12, into DIR: Debian's package of it, whose
# program is not needed.
set -eu

package=libtest-json-schema-acceptance-perl
version=1.019-1
sum=e060a940bd13357119d0064ccc2965958bb6a653905ff5ff125baac42fd1e9f77190ef53c0aa7ab04e589d4c303f894280a4a724e2c3433ad3a6938a151500b2
dir=$1

rm -rf "$dir"
mkdir -p "$dir/package"
(cd "$dir" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$package=$version" >/dev/null) || {
    echo "The test suite of JSON Schema is missing and cannot be fetched: connect to the network once (make clean keeps" \
        "what was fetched), with what apt-get update brings." >&2
    exit 1
}
file=$dir/${package}_${version}_all.deb
echo "$sum  $file" | sha512sum --quiet -c -
dpkg -x "$file" "$dir/package"
mv "$dir/package/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance/tests/draft2020-12" "$dir/"
rm -r "$file" "$dir/package"
touch "$dir/.stamp"
