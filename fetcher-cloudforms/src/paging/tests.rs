//! The paging algorithm against an appliance in a few lines, and against anything at all.

use proptest::prelude::*;

use super::*;

fn rows(ids: impl IntoIterator<Item = usize>) -> Vec<Row> {
    ids.into_iter()
        .map(|id| Row {
            id: id.to_string().into(),
            machine: Some(Machine { id: id.to_string().into(), ..Machine::default() }),
        })
        .collect()
}

fn size(count: usize, subcount: usize, subquery_count: Option<usize>) -> Size {
    Size { count, subcount, subquery_count }
}

/// An appliance of `length` matching rows among `count`, with a largest page of its own; asked past its end it panics.
fn read(length: usize, count: usize, limit: usize, largest: usize, total: bool) -> (usize, usize) {
    let mut paging = Paging::new(limit);
    let mut calls = 0;
    loop {
        calls += 1;
        let from = paging.offset();
        assert!(from == 0 || from < length, "asked past the end: {from} of {length}");
        let to = length.min(from + limit.min(largest));
        let numbers = size(count, to - from, total.then_some(length));
        if paging.take(rows(from..to), numbers).unwrap() == Step::Whole {
            return (paging.into_machines().len(), calls);
        }
    }
}

#[test]
fn fifty_thousand_rows_take_fifty_pages_of_a_thousand() {
    assert_eq!(read(50_000, 57_000, 1000, 1000, true), (50_000, 50));
}

#[test]
fn an_exact_multiple_of_the_limit_is_never_asked_past_its_end() {
    assert_eq!(read(3_000, 3_000, 1000, 1000, true), (3_000, 3));
    assert_eq!(read(3_000, 3_000, 1000, 1000, false), (3_000, 4));
}

#[test]
fn a_count_that_is_not_the_subquery_count_does_not_make_phantom_pages() {
    assert_eq!(read(2, 57, 1000, 1000, true), (2, 1));
}

#[test]
fn without_a_subquery_count_the_end_is_found_by_asking_for_the_last_row_again() {
    assert_eq!(read(2, 57, 1000, 1000, false), (2, 2));
    assert_eq!(read(1_001, 57_000, 1000, 1000, false), (1_001, 3));
}

#[test]
fn a_largest_page_smaller_than_the_one_asked_for_is_not_taken_for_the_end() {
    assert_eq!(read(1_234, 1_500, 1000, 500, true).0, 1_234);
    assert_eq!(read(1_234, 1_500, 1000, 500, false).0, 1_234);
}

#[test]
fn an_empty_collection_is_whole_with_and_without_a_total() {
    for total in [Some(0), None] {
        assert_eq!(Paging::new(10).take(vec![], size(57, 0, total)), Ok(Step::Whole));
        assert_eq!(Paging::new(10).take(vec![], size(0, 0, total)), Ok(Step::Whole));
    }
}

#[test]
fn two_identical_pages_of_a_server_without_order_are_an_error() {
    let mut paging = Paging::new(2);
    let mut asked = 0;
    let error = loop {
        asked += 1;
        match paging.take(rows(0..2), size(4, 2, Some(4))) {
            Ok(step) => assert_eq!(step, Step::More),
            Err(error) => break error,
        }
    };
    assert_eq!(asked, 2 * READINGS);
    assert!(error.to_string().contains("rows came again"), "{error}");
}

#[test]
fn a_count_that_moves_on_the_way_is_read_anew() {
    let mut paging = Paging::new(2);
    paging.take(rows(0..2), size(9, 2, Some(4))).unwrap();
    assert_eq!(paging.take(rows(3..4), size(9, 1, Some(3))), Ok(Step::More));
    assert_eq!(paging.offset(), 0);
    paging.take(rows(1..3), size(8, 2, Some(3))).unwrap();
    assert_eq!(paging.take(rows(3..4), size(8, 1, Some(3))), Ok(Step::Whole));
    assert_eq!(paging.into_machines().len(), 3);
}

#[test]
fn fewer_rows_than_the_page_says_are_an_error() {
    let mut paging = Paging::new(5);
    let error = (0..READINGS).find_map(|_| paging.take(rows(0..1), size(2, 2, Some(2))).err());
    assert!(error.unwrap().to_string().contains("1 rows where the page says 2"));
}

proptest! {
    #[test]
    fn a_collection_that_holds_still_is_read_whole_and_never_past_its_end(
        length in 0_usize..60, more in 0_usize..30, limit in 2_usize..9, largest in 2_usize..9, total: bool,
    ) {
        let (read, calls) = read(length, length + more, limit, largest, total);
        prop_assert_eq!(read, length);
        let page = limit.min(largest);
        let step = if total { page } else { page - 1 };
        prop_assert!(calls <= length.max(1).div_ceil(step) + 1);
    }

    #[test]
    fn whatever_comes_the_collection_is_as_long_as_its_total_or_an_error(
        pages in prop::collection::vec(
            (prop::collection::vec(0_usize..20, 0..6), 0_usize..12, prop::option::of(0_usize..9), 0_usize..2),
            0..40),
    ) {
        let mut paging = Paging::new(4);
        for (ids, count, total, off) in pages {
            let numbers = size(count, ids.len() + off, total);
            match paging.take(rows(ids), numbers) {
                Ok(Step::More) => {}
                Ok(Step::Whole) => {
                    let read = paging.into_machines().len();
                    prop_assert!(total.is_none_or(|total| read == total));
                    return Ok(());
                }
                Err(error) => {
                    prop_assert_eq!(error.reason(), "inconsistent");
                    return Ok(());
                }
            }
        }
    }
}
