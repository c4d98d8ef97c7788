//! The same policy with other settings, without another compilation: with tiers made from other models, or for fixtures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::component::{LOAD_TIME, Policy};
use super::declared;
use super::failure::PolicyFailure;
use super::models::{KnownModel, Naming};
use super::pace::Pace;
use super::sandbox::CallTime;
use super::settings::{Settings, with_tiers};

impl Policy {
    /// The same policy with the tiers that these models give, probed with its samples.
    ///
    /// # Errors
    /// If it does not accept the new tiers, fails a sample, or was released.
    pub async fn refitted(&self, models: &[KnownModel]) -> Result<Self, PolicyFailure> {
        let mut policy = self.variant(self.given().clone(), self.naming.remade(models)).await?;
        policy.probed = policy.probe().await?;
        policy.renew().await?;
        Ok(policy)
    }

    /// The same policy with these settings and the tiers in `naming`, with a fresh instance.
    pub(crate) async fn variant(&self, given: Settings, naming: Naming) -> Result<Self, PolicyFailure> {
        let pool = self.pool.with_settings(Arc::new(with_tiers(given.clone(), &naming)))?;
        pool.renew(CallTime::new(LOAD_TIME, Pace::Background)).await?;
        Ok(Self {
            hook: self.hook,
            digest: self.digest.clone(),
            manifest: self.manifest.clone(),
            profile: self.profile,
            limits: self.limits.clone(),
            pool,
            probed: self.probed,
            declares: declared::denies(&self.manifest, &given).or(self.declares),
            must_declare: self.must_declare,
            denied: AtomicBool::new(self.denied.load(Ordering::Relaxed)),
            reads: declared::reads(&self.manifest, &given),
            reads_tenants: self.reads_tenants,
            given,
            naming,
        })
    }
}
