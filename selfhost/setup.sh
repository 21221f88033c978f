#!/bin/sh
# setup.sh: make what publisher needs on a versitygw: two buckets, three users, and the policies of selfhost/policies. Run
# it again whenever you like. Needs curl 7.75 or newer. In the environment:
#
#   STORE                              where versitygw listens: http://127.0.0.1:7070
#   ROOT_ACCESS_KEY, ROOT_SECRET_KEY   its administrator
#   SIGNER_SECRET, PUBLISHER_SECRET, COLLECTOR_SECRET   what the users signer, publisher and collector will sign in with
#   PUBLIC, INBOX                      the buckets (public, inbox)
#   COLLECTION                         what the publisher publishes (example.com/scripts)
#   CREDENTIALS                        a directory to write NAME.credentials of each user to, as AWS's tools read them (none)
set -eu
: "${STORE:?}" "${ROOT_ACCESS_KEY:?}" "${ROOT_SECRET_KEY:?}" "${SIGNER_SECRET:?}" "${PUBLISHER_SECRET:?}" "${COLLECTOR_SECRET:?}"
PUBLIC=${PUBLIC:-public} INBOX=${INBOX:-inbox} COLLECTION=${COLLECTION:-example.com/scripts}
policies=$(dirname "$0")/policies

# call METHOD PATH [STATUS]: a signed request with the body that is on stdin. Another status than 200, or STATUS, ends it.
# No secret is in an argument, where everybody on the machine could read it: that which signs is on descriptor 3, and those
# of users are in bodies.
call() {
  body=$(cat)
  sum=$(printf %s "$body" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d' ' -f1)
  status=$(printf %s "$body" | curl -sS -o /dev/null -w '%{http_code}' --retry 30 --retry-delay 1 --retry-connrefused -X "$1" \
    --aws-sigv4 aws:amz:us-east-1:s3 -H "x-amz-content-sha256: $sum" --data-binary @- --config /dev/fd/3 "$STORE/$2" 3<<END
user = "$ROOT_ACCESS_KEY:$ROOT_SECRET_KEY"
END
  )
  case $status in
  200 | 201 | 204 | "${3:-200}") ;;
  *)
    echo "$1 $STORE/$2: status $status" >&2
    return 1
    ;;
  esac
}

# user NAME SECRET: 409 says that there is one.
user() {
  call PATCH create-user 409 <<END
<Account><Access>$1</Access><Secret>$2</Secret><Role>user</Role></Account>
END
  [ -z "${CREDENTIALS:-}" ] || (
    umask 077
    printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$1" "$2" >"$CREDENTIALS/$1.credentials"
  )
}

# bucket NAME DOCUMENT: the document goes without its spaces, for a filesystem may have room for 4 KB of it.
bucket() {
  call PUT "$1" 409 </dev/null
  sed "s|PUBLIC|$PUBLIC|g; s|INBOX|$INBOX|g; s|example.com/scripts|$COLLECTION|g" "$policies/$2" | tr -d ' \n' | call PUT "$1?policy="
}

user signer "$SIGNER_SECRET"
user publisher "$PUBLISHER_SECRET"
user collector "$COLLECTOR_SECRET"
bucket "$PUBLIC" versitygw-public.json
bucket "$INBOX" versitygw-inbox.json
echo "$STORE has $PUBLIC, $INBOX, and the users signer, publisher and collector"
