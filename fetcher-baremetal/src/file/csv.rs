//! A list of machines as comma-separated values: a header line, a line for each machine, and `...`.
//!
//! Not a second meaning: each column fills one place of the same [`Row`] that YAML and JSON fill.

use csv::{Position, Reader, ReaderBuilder, StringRecord, Trim};
use fetcher_core::machine::AddressType;

use super::document::{Document, Row};
use super::parse::{END, ParseError};
use super::short::{Address, Interface, Short};
use super::value::Id;

/// Puts the text of a cell where it belongs.
type Put = fn(&mut Row, &str) -> Result<(), String>;

/// The columns of one fixed name.
const COLUMNS: &[(&str, Put)] = &[
    ("id", |row, cell| {
        row.id = Id::try_from(cell.to_owned())?;
        Ok(())
    }),
    ("name", |row, cell| text(&mut row.name, cell)),
    ("state", |row, cell| value(&mut row.state, cell)),
    ("providerState", |row, cell| text(&mut row.provider_state, cell)),
    ("role", |row, cell| text(&mut row.role, cell)),
    ("region", |row, cell| text(&mut row.region, cell)),
    ("zone", |row, cell| text(&mut row.zone, cell)),
    ("site", |row, cell| text(&mut row.site, cell)),
    ("rack", |row, cell| text(&mut row.rack, cell)),
    ("position", |row, cell| text(&mut row.position, cell)),
    ("address", |row, cell| {
        each(cell, char::is_whitespace, |ip| {
            row.addresses.push(Short(ip.parse()?));
            Ok(())
        })
    }),
    ("address.hostname", |row, cell| addresses(row, AddressType::Hostname, cell)),
    ("address.internal", |row, cell| addresses(row, AddressType::InternalIP, cell)),
    ("address.external", |row, cell| addresses(row, AddressType::ExternalIP, cell)),
    ("address.internalDNS", |row, cell| addresses(row, AddressType::InternalDNS, cell)),
    ("address.externalDNS", |row, cell| addresses(row, AddressType::ExternalDNS, cell)),
    ("address.management", |row, cell| addresses(row, AddressType::ManagementIP, cell)),
    ("hardware.type", |row, cell| text(&mut row.hardware.kind, cell)),
    ("hardware.architecture", |row, cell| text(&mut row.hardware.architecture, cell)),
    ("hardware.cpus", |row, cell| {
        let wrong = |_| format!("{cell:?} is no number of processors");
        row.hardware.cpus = Some(cell.parse().map_err(wrong)?);
        Ok(())
    }),
    ("hardware.memory", |row, cell| value(&mut row.hardware.memory, cell)),
    ("hardware.disks", |row, cell| {
        each(
            cell,
            |c| c == ';',
            |disk| {
                row.hardware.disks.push(Short(disk.parse()?));
                Ok(())
            },
        )
    }),
    ("hardware.serial", |row, cell| text(&mut row.hardware.serial, cell)),
    ("hardware.uuid", |row, cell| text(&mut row.hardware.uuid, cell)),
    ("hardware.vendor", |row, cell| text(&mut row.hardware.vendor, cell)),
    ("hardware.model", |row, cell| text(&mut row.hardware.model, cell)),
    ("os", |row, cell| text(&mut row.os.0.name, cell)),
    ("os.version", |row, cell| text(&mut row.os.0.version, cell)),
    ("os.image", |row, cell| text(&mut row.os.0.image, cell)),
    ("interface", |row, cell| {
        each(cell, char::is_whitespace, |mac| {
            row.interfaces.push(Short(mac.parse()?));
            Ok(())
        })
    }),
    ("owner.account", |row, cell| text(&mut row.owner.account, cell)),
    ("owner.project", |row, cell| text(&mut row.owner.project, cell)),
    ("owner.tenant", |row, cell| text(&mut row.owner.tenant, cell)),
    ("createdAt", |row, cell| time(&mut row.created_at, cell)),
    ("launchedAt", |row, cell| time(&mut row.launched_at, cell)),
];

/// What a column holds.
enum Column {
    /// One of [`COLUMNS`].
    Fixed(Put),
    /// `tag.KEY`: that tag; an empty cell is a machine without it.
    Tag(String),
    /// `interface.NAME`: the hardware address of that interface.
    Interface(String),
}

/// The document.
pub(super) fn read(text: &str) -> Result<Document, ParseError> {
    let mut reader = reader(text);
    let header = reader.headers().map_err(|error| broken(&error))?.clone();
    let columns = columns(&header)?;
    let mut document = Document::default();
    let mut record = StringRecord::new();
    let mut last = None;
    while reader.read_record(&mut record).map_err(|error| broken(&error))? {
        let line = line_at(record.position());
        if record.get(0) == Some(END) {
            document.count = footer(&record).map_err(|reason| ParseError::at(line, reason))?;
            return if reader.read_record(&mut record).map_err(|error| broken(&error))? {
                Err(ParseError::at(
                    line_at(record.position()),
                    "something follows the line `...`, which ends the list",
                ))
            } else {
                Ok(document)
            };
        }
        let row = row(&header, &columns, &record).map_err(|reason| ParseError::at(line, reason))?;
        document.machines.push(row);
        last = Some((line, record.iter().any(|cell| cell.contains('\n'))));
    }
    Err(unended(text, last))
}

/// The line on which the machine of this index begins.
pub(super) fn line(text: &str, index: usize) -> Option<usize> {
    let record = reader(text).into_records().nth(index)?.ok()?;
    Some(line_at(record.position()))
}

fn reader(text: &str) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes())
}

/// What each column of the header holds; every one must be known, and stand there once.
fn columns(header: &StringRecord) -> Result<Vec<Column>, ParseError> {
    let line = line_at(header.position());
    let mut columns = Vec::with_capacity(header.len());
    for (at, name) in header.iter().enumerate() {
        if header.iter().take(at).any(|earlier| earlier == name) {
            return Err(ParseError::at(line, format!("the column {name:?} stands there twice")));
        }
        columns.push(column(name).map_err(|reason| ParseError::at(line, reason))?);
    }
    if header.iter().any(|name| name == "id") {
        return Ok(columns);
    }
    Err(ParseError::at(line, "the header line has no column `id`, by which machines are known"))
}

fn column(name: &str) -> Result<Column, String> {
    if let Some((_, put)) = COLUMNS.iter().find(|(known, _)| *known == name) {
        return Ok(Column::Fixed(*put));
    }
    match name.split_once('.') {
        Some(("tag", key)) if !key.is_empty() => Ok(Column::Tag(key.to_owned())),
        Some(("interface", name)) if !name.is_empty() => Ok(Column::Interface(name.to_owned())),
        _ if name.contains([';', '\t']) => {
            Err(format!("{name:?} is no column: columns are separated by commas"))
        }
        _ => {
            let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "{name:?} is no column: there are {}, tag.KEY and interface.NAME",
                known.join(", ")
            ))
        }
    }
}

/// The machine of one line. An empty cell says nothing.
fn row(header: &StringRecord, columns: &[Column], record: &StringRecord) -> Result<Row, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "the line has {} cells and the header {}: a cell that holds a comma stands in quotes",
            record.len(),
            columns.len()
        ));
    }
    // Cut off behind its dots it would look like the end of the list.
    if record.get(0).is_some_and(|cell| cell.starts_with(END)) {
        return Err("the line begins with three dots, which end the list".to_owned());
    }
    let mut row = Row::default();
    for ((column, cell), name) in columns.iter().zip(record).zip(header) {
        if cell.is_empty() && name != "id" {
            continue;
        }
        let put = match column {
            Column::Fixed(put) => put(&mut row, cell),
            Column::Tag(key) => {
                row.tags.0.insert(key.clone(), cell.to_owned());
                Ok(())
            }
            Column::Interface(name) => cell.parse().map(|mac| {
                let interface = Interface { name: Some(name.clone()), mac: Some(mac) };
                row.interfaces.push(Short(interface));
            }),
        };
        put.map_err(|reason| format!("column `{name}`: {reason}"))?;
    }
    Ok(row)
}

/// The count that the last line may give: `...` or `...,12`. A spreadsheet fills the line up with empty cells.
fn footer(record: &StringRecord) -> Result<Option<usize>, String> {
    let wrong = "the last line is `...`, or `...,COUNT`".to_owned();
    if record.iter().skip(2).any(|cell| !cell.is_empty()) {
        return Err(wrong);
    }
    match record.get(1) {
        None | Some("") => Ok(None),
        Some(count) => count.parse().map(Some).map_err(|_| wrong),
    }
}

/// Why a file is not whole whose last line was not read as `...`.
fn unended(text: &str, last: Option<(usize, bool)>) -> ParseError {
    match (super::parse::ended(text), last) {
        (Ok(()), Some((line, _))) | (Err(_), Some((line, true))) => ParseError::at(
            line,
            "a cell that begins on this line goes on to the end of the file: is its closing quote missing?",
        ),
        (Err(error), Some((_, false)) | None) => error,
        (Ok(()), None) => ParseError::at(1, "the file has no header line"),
    }
}

fn line_at(position: Option<&Position>) -> usize {
    position.and_then(|position| usize::try_from(position.line()).ok()).unwrap_or(1)
}

fn broken(error: &csv::Error) -> ParseError {
    let reason = error.to_string();
    match error.position() {
        Some(position) => ParseError::at(line_at(Some(position)), reason),
        None => ParseError::new(reason),
    }
}

fn text(place: &mut Option<String>, cell: &str) -> Result<(), String> {
    *place = Some(cell.to_owned());
    Ok(())
}

fn value<T: std::str::FromStr<Err = String>>(
    place: &mut Option<T>,
    cell: &str,
) -> Result<(), String> {
    *place = Some(cell.parse()?);
    Ok(())
}

fn time(place: &mut Option<jiff::Timestamp>, cell: &str) -> Result<(), String> {
    let wrong = |_| format!("{cell:?} is no time like 2026-03-01T09:30:00Z");
    *place = Some(cell.parse().map_err(wrong)?);
    Ok(())
}

/// Several values in one cell.
fn each(
    cell: &str,
    between: fn(char) -> bool,
    mut put: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    cell.split(between).map(str::trim).filter(|part| !part.is_empty()).try_for_each(&mut put)
}

fn addresses(row: &mut Row, kind: AddressType, cell: &str) -> Result<(), String> {
    each(cell, char::is_whitespace, |address| {
        row.addresses.push(Short(Address::new(kind, address)?));
        Ok(())
    })
}
