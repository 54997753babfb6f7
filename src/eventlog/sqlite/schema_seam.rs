//! The seam to schemas and contracts: reads from the pool, writes by the writer.

use async_trait::async_trait;

use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::queue::WriteRequest;
use crate::eventlog::sqlite::schemas;
use crate::eventlog::{ContractChoice, KeptContract, KeptSchema, LogError, NewSchema, Schemas};

#[async_trait]
impl Schemas for SqliteLog {
    async fn keep_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError> {
        self.ask(|reply| WriteRequest::KeepSchemas(schemas, reply)).await
    }

    async fn lacks_old_schemas(&self) -> Result<bool, LogError> {
        self.readers.run("look for old schemas", schemas::lacks_old).await
    }

    async fn keep_old_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError> {
        self.ask(|reply| WriteRequest::KeepOldSchemas(schemas, reply)).await
    }

    async fn schema_at(&self, address: &str) -> Result<Option<KeptSchema>, LogError> {
        let address = address.to_owned();
        self.readers.run("read a schema", move |c| schemas::at(c, &address)).await
    }

    async fn schema_named(&self, dataschema: &str) -> Result<Option<KeptSchema>, LogError> {
        let name = dataschema.to_owned();
        self.readers.run("read a schema", move |c| schemas::named(c, &name)).await
    }

    async fn kept_contract(
        &self,
        path: &str,
        choice: &ContractChoice,
    ) -> Result<Option<KeptContract>, LogError> {
        let (path, choice) = (path.to_owned(), choice.clone());
        self.readers.run("read a contract", move |c| schemas::contract(c, &path, &choice)).await
    }
}
