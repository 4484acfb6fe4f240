//! The contract of all stores, on those that need no server: the file and the store in memory, plain and behind the
//! wrapper that fails on purpose. What only a file can suffer is tested beside it in fetcher-core.

use anyhow::Result;
use fetcher_core::observed::Lens;
use fetcher_core::schema::Schema;

fn lens() -> Result<Lens> {
    Ok(Lens { schema: Schema::ours(), selector: "".parse()? })
}

mod contract_of_the_file {
    use fetcher_core::store::file::FileStore;
    use tempfile::TempDir;

    use super::*;

    async fn make() -> Result<(FileStore, TempDir)> {
        let dir = tempfile::tempdir()?;
        Ok((FileStore::new(dir.path().join("inventory.json"), lens()?), dir))
    }

    fetcher_tests::store_contract!(make);
}

mod contract_of_the_memory {
    use fetcher_tests::memory::MemoryStore;

    use super::*;

    async fn make() -> Result<(MemoryStore, ())> {
        Ok((MemoryStore::new(lens()?), ()))
    }

    fetcher_tests::store_contract!(make);
}

mod contract_behind_the_fault_injector {
    use std::sync::Arc;

    use fetcher_tests::memory::{Faults, Faulty, MemoryStore};

    use super::*;

    async fn make() -> Result<(Faulty<MemoryStore>, ())> {
        Ok((Faulty::new(Arc::new(MemoryStore::new(lens()?)), Faults::default()), ()))
    }

    fetcher_tests::store_contract!(make);
}
