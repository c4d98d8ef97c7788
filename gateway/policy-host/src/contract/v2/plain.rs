//! Writes candidates, and the numbers of a request, into the guest's memory in one piece.
//!
//! The generated bindings lower a record field by field, and look the guest's memory up for each: some fifty instructions a
//! field. A decision on thirty models has more than three hundred fields, so that this was a quarter of its cost.
//!
//! The types here take layout and type check from the generated ones, which the runtime compared with the component when it was
//! linked, and write as many bytes as those have. The runtime checks that the memory is the guest's, and panics where it is not.

use std::mem::MaybeUninit;

use wasmtime::Result as WasmResult;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower, TypedFunc};

use super::bindings::cost::CostPolicy;
use super::bindings::routing::RoutingPolicy;
use super::bindings::routing::exports::wasmgate::policy::routing::Verdict;
use super::bindings::routing::wasmgate::policy::types;
use super::lower;
use crate::candidates::Candidate;

/// The sizes of the records in memory, in bytes.
const CANDIDATE: usize = 64;
const REQUEST: usize = 104;

const _: () = assert!(<types::Candidate as ComponentType>::SIZE32 == CANDIDATE);
const _: () = assert!(<types::Request as ComponentType>::SIZE32 == REQUEST);

/// The parameters of a decision.
pub(super) type Parameters<'a> = (Numbers, types::Prompt<'a>, &'a [Candidate]);

/// `route`, with parameters that are written in one piece.
pub(super) fn route<'a>(policy: &RoutingPolicy) -> TypedFunc<Parameters<'a>, (Result<Verdict, String>,)> {
    let function = policy.wasmgate_policy_routing().func_route();
    // SAFETY: its type was checked for the generated types, whose checks the types here share.
    unsafe { TypedFunc::new_unchecked(*function.func()) }
}

/// `estimate`, likewise.
pub(super) fn estimate<'a>(
    policy: &CostPolicy,
) -> TypedFunc<Parameters<'a>, (Result<Vec<types::CostEstimate>, String>,)> {
    let function = policy.wasmgate_policy_cost().func_estimate();
    // SAFETY: as above.
    unsafe { TypedFunc::new_unchecked(*function.func()) }
}

/// The numbers of a request.
pub(super) struct Numbers(pub(super) types::Request);

/// A record of `N` bytes that is being written. A number lies at a multiple of its size, as the canonical ABI has it.
struct Record<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Record<N> {
    fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn put<const SIZE: usize>(&mut self, number: [u8; SIZE]) {
        self.align(SIZE);
        self.bytes[self.at..self.at + SIZE].copy_from_slice(&number);
        self.at += SIZE;
    }

    fn boolean(&mut self, value: bool) {
        self.put([u8::from(value)]);
    }

    fn option(&mut self, value: Option<u32>) {
        self.align(size_of::<u32>());
        self.boolean(value.is_some());
        self.put(value.unwrap_or_default().to_le_bytes());
    }
}

fn candidate(candidate: &Candidate) -> [u8; CANDIDATE] {
    let types::Candidate {
        model,
        health,
        breaker,
        in_flight,
        time_left,
        latency,
        time_to_first_token,
        tokens_per_second,
        estimate: types::CostEstimate { input_tokens, output_tokens, cost },
    } = lower::candidate(candidate);
    let mut record = Record::new();
    record.put(model.to_le_bytes());
    record.put([health]);
    record.put([breaker]);
    record.put(in_flight.to_le_bytes());
    record.put(time_left.to_le_bytes());
    record.put(latency.to_le_bytes());
    record.put(time_to_first_token.to_le_bytes());
    record.put(tokens_per_second.to_le_bytes());
    record.put(input_tokens.to_le_bytes());
    record.put(output_tokens.to_le_bytes());
    record.put(cost.to_le_bytes());
    record.bytes
}

fn request(request: &types::Request) -> [u8; REQUEST] {
    let types::Request {
        requested,
        answered_before,
        pinned,
        prompt_tokens,
        max_tokens,
        streaming,
        tools,
        images,
        structured_output,
        messages,
        text_bytes,
        newest_bytes,
        budget,
        left_out: types::LeftOut { messages: messages_left_out, bytes: bytes_left_out, labels: labels_left_out },
    } = *request;
    let mut record = Record::new();
    record.option(requested);
    record.option(answered_before);
    record.boolean(pinned);
    record.put(prompt_tokens.to_le_bytes());
    record.option(max_tokens);
    record.boolean(streaming);
    record.boolean(tools);
    record.boolean(images);
    record.boolean(structured_output);
    record.put(messages.to_le_bytes());
    record.put(text_bytes.to_le_bytes());
    record.put(newest_bytes.to_le_bytes());
    record.align(size_of::<u64>());
    record.boolean(budget.is_some());
    let types::Budget { limit, left } = budget.unwrap_or(types::Budget { limit: 0, left: 0 });
    record.put(limit.to_le_bytes());
    record.put(left.to_le_bytes());
    record.align(size_of::<u64>());
    record.put(messages_left_out.to_le_bytes());
    record.put(bytes_left_out.to_le_bytes());
    record.put(labels_left_out.to_le_bytes());
    record.bytes
}

// SAFETY: representation, layout and type check are those of the generated type for the same record.
unsafe impl ComponentType for Candidate {
    type Lower = <types::Candidate as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <types::Candidate as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> WasmResult<()> {
        <types::Candidate as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: writes the record that the type check is about, as the canonical ABI lays it out.
unsafe impl Lower for Candidate {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        to: &mut MaybeUninit<Self::Lower>,
    ) -> WasmResult<()> {
        lower::candidate(self).linear_lower_to_flat(cx, ty, to)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
    ) -> WasmResult<()> {
        *cx.get(offset) = candidate(self);
        Ok(())
    }

    fn linear_store_list_to_memory<T>(
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
        items: &[Self],
    ) -> WasmResult<()> {
        let (places, _) = cx.as_slice_mut()[offset..][..items.len() * CANDIDATE].as_chunks_mut();
        for (place, item) in places.iter_mut().zip(items) {
            *place = candidate(item);
        }
        Ok(())
    }
}

// SAFETY: representation, layout and type check are those of the generated type for the same record.
unsafe impl ComponentType for Numbers {
    type Lower = <types::Request as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <types::Request as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> WasmResult<()> {
        <types::Request as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: writes the record that the type check is about, as the canonical ABI lays it out.
unsafe impl Lower for Numbers {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        to: &mut MaybeUninit<Self::Lower>,
    ) -> WasmResult<()> {
        self.0.linear_lower_to_flat(cx, ty, to)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
    ) -> WasmResult<()> {
        *cx.get(offset) = request(&self.0);
        Ok(())
    }
}
