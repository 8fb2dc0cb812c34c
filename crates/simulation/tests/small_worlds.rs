//! Every crash of every small world. Every pair of crashes, and every bit of a journal, are tried by the program itself:
//! that takes a release build.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and say what it saw"
)]

use unanimo_protocol::planted::Mistake::{
    CountsAnew, DamageIsTorn, IntentUnrecorded, SagaRollbackLazy, SettlesBeforeSync,
};
use unanimo_simulation::{Came, Mistake, Small, Specimen, Tried};

#[test]
fn no_crash_breaks_a_promise_wherever_it_comes() {
    for small in Small::all() {
        let Tried { points, .. } = small.try_all(false, None).unwrap();
        println!("{small}: {points} crashes");
        assert!(points > 200, "{small}: {points} crashes only");
    }
}

#[test]
fn a_mistake_that_needs_a_crash_is_found() {
    let of_sagas = [IntentUnrecorded, SagaRollbackLazy];
    for mistake in [CountsAnew, SettlesBeforeSync].into_iter().chain(of_sagas).map(Mistake::Code) {
        assert!(Small::all().any(|small| small.try_all(false, Some(mistake)).is_err()), "{mistake:?}");
    }
}

#[test]
fn damage_that_is_taken_for_a_tear_is_found() {
    let specimen = Specimen::take().unwrap();
    println!("{}", specimen.describe());
    let (pieces, mistake) = (specimen.pieces(), Some(Mistake::Code(DamageIsTorn)));
    assert_eq!(specimen.cut(&pieces[1], None).unwrap(), Came { refused: 1024, ..Came::default() });
    // Only the newest segment has a tail that could be torn.
    let mut newest = pieces[pieces.len() * 3 / 4..].iter();
    assert!(newest.any(|piece| specimen.flip(piece, mistake).is_err()));
}
