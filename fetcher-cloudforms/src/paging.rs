//! Reading a collection whole by offset while it moves: where to go on, and when it is complete.
//!
//! Not the asking: whoever asks hands each page in. The appliance's `count` ignores filters, its links point to
//! places of its own and past the end, asking past the end is a 500, and its largest page is a setting. So: only
//! offsets that hold something, the end by `subquery_count` where there is one, and everything anew, a few times,
//! when a number moves or a row comes again.

use std::collections::HashMap;

use fetcher_core::machine::{Machine, Text};
use fetcher_core::provider::FetchError;

/// How often a collection that moves is read before it is given up.
const READINGS: usize = 3;

/// One row: its id at the appliance, and the machine it is, if it is one of ours.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: Text,
    pub(crate) machine: Option<Machine>,
}

/// The numbers of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// All of the collection, whatever the filter.
    pub(crate) count: usize,
    /// Rows of the page by its own word.
    pub(crate) subcount: usize,
    /// All that the filter lets through, where the appliance says so.
    pub(crate) subquery_count: Option<usize>,
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another page.
    More,
    /// Nothing: the collection is whole.
    Whole,
}

/// A collection on its way in.
#[derive(Debug)]
pub(crate) struct Paging {
    rows: Vec<Row>,
    index: HashMap<Text, usize>,
    offset: usize,
    limit: usize,
    /// Whether the page to ask for begins at the last row read.
    overlaps: bool,
    first: Option<Size>,
    reading: usize,
}

impl Paging {
    /// Before the first page of `limit` rows, at least 2: a page may begin at the last row of the one before.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            index: HashMap::new(),
            offset: 0,
            limit: limit.max(2),
            overlaps: false,
            first: None,
            reading: 1,
        }
    }

    /// Where the page to ask for begins.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// How many rows to ask for.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Takes in the page that was asked for.
    ///
    /// # Errors
    /// [`FetchError::Inconsistent`] when no reading so far made a whole collection.
    pub(crate) fn take(&mut self, rows: Vec<Row>, size: Size) -> Result<Step, FetchError> {
        match self.page_in(rows, size) {
            Ok(step) => Ok(step),
            Err(why) if self.reading < READINGS => {
                *self = Self { reading: self.reading + 1, ..Self::new(self.limit) };
                tracing::debug!(reading = self.reading, why, "Collection moved, reading it anew");
                Ok(Step::More)
            }
            Err(why) => Err(FetchError::inconsistent(format!(
                "no whole collection in {READINGS} readings: {why}; the next round asks again"
            ))),
        }
    }

    /// The machines of the collection, once it is whole.
    pub(crate) fn into_machines(self) -> Vec<Machine> {
        self.rows.into_iter().filter_map(|row| row.machine).collect()
    }

    fn page_in(&mut self, rows: Vec<Row>, size: Size) -> Result<Step, String> {
        self.same_numbers(size)?;
        if rows.len() != size.subcount {
            return Err(format!("{} rows where the page says {}", rows.len(), size.subcount));
        }
        for row in rows {
            self.add(row)?;
        }
        let read = self.rows.len();
        if read != self.offset + size.subcount {
            return Err(format!(
                "rows came again: {read} different ones at offset {}",
                self.offset
            ));
        }
        self.next(read, size)
    }

    fn same_numbers(&mut self, size: Size) -> Result<(), String> {
        let first = *self.first.get_or_insert(size);
        if (first.count, first.subquery_count) != (size.count, size.subquery_count) {
            return Err(format!(
                "the total went from {} to {} at offset {}",
                first.subquery_count.unwrap_or(first.count),
                size.subquery_count.unwrap_or(size.count),
                self.offset
            ));
        }
        Ok(())
    }

    fn add(&mut self, row: Row) -> Result<(), String> {
        match self.index.get(&row.id) {
            None => {
                self.index.insert(row.id.clone(), self.rows.len());
                self.rows.push(row);
                Ok(())
            }
            Some(&at) if self.rows.get(at) == Some(&row) => Ok(()),
            Some(_) => Err(format!("id {:?} came twice with different content", row.id)),
        }
    }

    fn next(&mut self, read: usize, size: Size) -> Result<Step, String> {
        let ended = match size.subquery_count {
            Some(all) if read > all => {
                return Err(format!("{read} rows where the total says {all}"));
            }
            Some(all) => read == all,
            // The last row was asked for again, and nothing came after it.
            None => read >= size.count || read == 0 || (self.overlaps && size.subcount == 1),
        };
        if ended {
            return Ok(Step::Whole);
        }
        if size.subcount == 0 {
            return Err(format!("an empty page at offset {}, before the end", self.offset));
        }
        // Without a total nobody knows whether more follows, and a short page may be a smaller largest page: the next
        // one begins at the last row, which is there for sure, and so is never past the end.
        self.overlaps = size.subquery_count.is_none();
        self.offset = read - usize::from(self.overlaps);
        Ok(Step::More)
    }
}

#[cfg(test)]
mod tests;
