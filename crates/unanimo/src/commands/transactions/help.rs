//! What `--help` says of each command, below its flags.

pub const ALL: &str = "\
Asks the admin listener of a gateway that runs on this machine.

Example:
  $ unanimo transactions list --stuck
  $ unanimo transactions show 0a8sd8p0r0000g0000000rq7tm
  $ unanimo transactions watch --route transfer
  $ unanimo transactions retry 0a8sd8p0r0000g0000000rq7tm

Ends with:
  0  it was answered
  1  the question was wrong, it was refused, or nobody knows the id
  3  nobody answered

Read on: docs/operating.md, docs/transaction-api.md";

pub const LIST: &str = "\
States: initial, preparing, committing, committed, undoing, rolled-back.
Ages: 500ms, 10s, 5m, 2h, 7d. Flags such as --stuck and --heuristic show
those that have any of them; all else narrows the list.

Example:
  $ unanimo transactions list --state committing --limit 2
  ID                          STATE        AGE  MODE  ROUTE  NOTE
  0a8sd8p0r0000g0000000wq1c4  committing   9 s  tcc   order
  0a8sd8p0r0000g0000000rq7tm  committing  12 s  tcc   order
  more: --after 19aa7d0b1f0-0a8sd8p0r0000g0000000rq7tm

Ends with:
  0  there was an answer, be it that there are none
  1  the question was wrong
  3  nobody answered

Read on: docs/operating.md; docs/transaction-api.md has the members of the JSON";

pub const SHOW: &str = "\
Example:
  $ unanimo transactions show 0a8sd8p0r0000g0000000rq7tm
  transaction  0a8sd8p0r0000g0000000rq7tm
  route        transfer
  mode         two-phase
  state        committing
  verdict      1 (committed)
  note         stuck
  began        3 min 20 s ago (Sat, 21 Nov 2026 17:45:20 GMT)
  answer       200, to the client

  BRANCH  SERVICE  STANDS  CALLS  LAST ANSWER
  debit   bank-a   told        1  commit: done (200)
  credit  bank-b   ready      12  commit: no answer

     TIME  WHAT        BRANCH  DETAIL
    +0 ms  begun
    +2 ms  verdict             commit
    +9 ms  told        debit   commit: done (200)
  +1 min   stuck       credit

Ends with:
  0  it is known
  1  it is not. That does not mean that it was rolled back
  3  nobody answered

Read on: docs/operating.md; docs/transaction-api.md has the members of the JSON";

pub const WATCH: &str = "\
Tells what happens, as it happens: of every transaction that the flags let
through, or of one, until it has ended. With --json each line is one JSON
document. Where more happens than can be shown, a line says how much was left
out, and it goes on.

Example:
  $ unanimo transactions watch --route transfer --stuck
  $ unanimo transactions watch 0a8sd8p0r0000g0000000rq7tm

Ends with:
  0  the transaction has ended
  1  the question was wrong, or nobody knows the id
  3  nobody answered, or the gateway has gone

Read on: docs/transaction-api.md";

pub const RETRY: &str = "\
For a service that is back: a call that would have left only after a pause
leaves now, and the pauses begin from the shortest again. It changes nothing
else: the verdict stands, and a call that is under way is not repeated. Where
it is never used, every call is repeated by itself all the same.

Example:
  $ unanimo transactions retry 0a8sd8p0r0000g0000000rq7tm
  0a8sd8p0r0000g0000000rq7tm is committing
    called now         credit

Ends with:
  0  it was done, or nothing was owed
  1  nobody knows the id
  3  nobody answered

Read on: docs/operating.md";

pub const RESOLVE: &str = "\
Ends by hand what cannot end by itself. Say what:
  --sign-off BRANCH  it ended against the verdict, and somebody has put right
                     what had to be
  --told BRANCH      it is stuck, and you have brought it to the verdict by
                     other means: it is told no more
  --commit           it is quarantined after a restore, and has no verdict:
  --rollback         you know which one is true
  --release          it is quarantined, and has a verdict: tell it
A verdict is never changed. Who and why stand in the journal, in the log and
in the timeline. Before anything is done you are shown what, and asked to type
the id again; --yes is for scripts, and needs --who and --why.

Example:
  $ unanimo transactions resolve 0a8sd8p0r0000g0000000rq7tm --told credit

Ends with:
  0  it is done, and durable
  1  it was refused, or you did not type the id: nothing was changed
  3  nobody answered: look whether it was done

Read on: docs/transaction-api.md says when each is refused, and why";
