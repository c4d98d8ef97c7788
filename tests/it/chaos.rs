//! Random faults under load, by a seed; `make chaos` goes on with others.

use wasmgate_tests::chaos;
use wasmgate_tests::chaos::soak;

#[test]
fn what_must_hold_holds_whatever_fails() {
    println!("{}", chaos::run(1, 2400));
}

#[test]
fn it_also_holds_for_another_seed() {
    println!("{}", chaos::run(chaos::next_seed(1), 1200));
}

#[test]
fn hostile_actors_harm_no_well_behaved_client_and_leave_nothing_behind() {
    println!("{}", soak::run(1, soak::Length::Acts(2)));
}
