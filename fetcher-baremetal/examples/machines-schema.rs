//! Prints the JSON Schema of a list of machines, as it stands in `deploy/examples/machines.schema.json`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    print!("{}", fetcher_baremetal::file::document::schema());
}
