//! Facts of a request that few policies need: the policy asks the gateway for each. In native builds, for tests, they are
//! what the test says.

use crate::Limit;
use alloc::string::String;
use alloc::vec::Vec;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    #[cfg(not(target_family = "wasm"))]
    given: Given,
}

#[cfg(target_family = "wasm")]
mod asked {
    use super::{Facts, Limit, String, Vec};
    use crate::bindings::routing::wasmgate::policy::request_facts;

    impl Facts {
        pub(crate) fn id(&self) -> String {
            request_facts::id()
        }

        pub(crate) fn dialect(&self) -> String {
            request_facts::dialect()
        }

        pub(crate) fn tenant(&self) -> Option<String> {
            request_facts::tenant()
        }

        pub(crate) fn limits(&self) -> Vec<Limit> {
            request_facts::limits()
        }

        pub(crate) fn label(&self, name: &str) -> Option<String> {
            request_facts::label(name)
        }

        /// All labels that the policy reads: name in lower case, value.
        pub fn labels(&self) -> Vec<(String, String)> {
            request_facts::labels()
        }

        /// Further facts, by name. Ignore names you do not know.
        pub fn hints(&self) -> Vec<(String, String)> {
            request_facts::hints()
        }
    }
}

#[cfg(not(target_family = "wasm"))]
pub use given::Given;

#[cfg(not(target_family = "wasm"))]
mod given {
    use super::{Facts, Limit, String, Vec};

    /// The facts of a test.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Given {
        /// The request's id.
        pub id: String,
        /// The dialect in which the client spoke.
        pub dialect: String,
        /// The tenant's name.
        pub tenant: Option<String>,
        /// The tenant's limits.
        pub limits: Vec<Limit>,
        /// Labels: name in lower case, value.
        pub labels: Vec<(String, String)>,
        /// Further facts, by name.
        pub hints: Vec<(String, String)>,
    }

    impl From<Given> for Facts {
        fn from(given: Given) -> Self {
            Self { given }
        }
    }

    impl Facts {
        pub(crate) fn id(&self) -> String {
            self.given.id.clone()
        }

        pub(crate) fn dialect(&self) -> String {
            self.given.dialect.clone()
        }

        pub(crate) fn tenant(&self) -> Option<String> {
            self.given.tenant.clone()
        }

        pub(crate) fn limits(&self) -> Vec<Limit> {
            self.given.limits.clone()
        }

        pub(crate) fn label(&self, name: &str) -> Option<String> {
            self.given.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }

        /// All labels that the policy reads: name in lower case, value.
        pub fn labels(&self) -> Vec<(String, String)> {
            self.given.labels.clone()
        }

        /// Further facts, by name. Ignore names you do not know.
        pub fn hints(&self) -> Vec<(String, String)> {
            self.given.hints.clone()
        }
    }
}
