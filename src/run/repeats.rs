//! Which rows repeat the address of an earlier one.
//!
//! Decides: how that is found. A short list is remembered while it is read; one with more distinct addresses than that is
//! read to its end first, once, so that memory stays what it is. Fails: when the spill file can't be written.

use super::ahead::{self, Looked};
use super::intake::Look;
use crate::address::Address;
use crate::error::Error;
use crate::list::duplicates::{Duplicates, Finder, Firsts, Full};
use crate::list::{List, ListError};

/// Tells in the order of the list which rows repeat an earlier one.
pub struct Repeats<'a> {
    list: &'a List,
    how: Look,
    known: Known,
}

enum Known {
    SoFar(Firsts),
    ToTheEnd(Box<Duplicates>),
}

impl<'a> Repeats<'a> {
    /// Begins before the first row.
    pub fn of(list: &'a List, how: Look) -> Repeats<'a> {
        Repeats { list, how, known: Known::SoFar(Firsts::default()) }
    }

    /// The first record with this address; `None` when that is `record` itself. Ask in rising order.
    pub fn first_of(&mut self, record: u64, address: &Address) -> Result<Option<u64>, Error> {
        if let Known::SoFar(firsts) = &mut self.known {
            match firsts.first_of(record, address) {
                Ok(first) => return Ok(first),
                // Its memory is needed now.
                Err(Full) => *firsts = Firsts::default(),
            }
            self.known = Known::ToTheEnd(Box::new(self.read_to_the_end()?));
        }
        match &mut self.known {
            Known::ToTheEnd(duplicates) => duplicates.first_of(record).map_err(spill),
            Known::SoFar(_) => Ok(None),
        }
    }

    fn read_to_the_end(&self) -> Result<Duplicates, Error> {
        let mut finder = Finder::new();
        ahead::each(self.list, self.how, |looked| match looked {
            Looked::Row(row, seen) => match seen.form.address() {
                Some(address) => finder.feed(row.record, address).map_err(spill),
                None => Ok(()),
            },
            Looked::Rejected(_) => Ok(()),
        })?;
        finder.finish().map_err(spill)
    }
}

/// Duplicates are found in temporary files.
fn spill(error: std::io::Error) -> Error {
    ListError::Write { path: std::env::temp_dir(), source: error }.into()
}
