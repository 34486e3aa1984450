"""The code that templates are compiled to: Jinja's, with shorter ways for what pages do most.

    {{ value }}                          escape_text(value) instead of escape(value)
    {{ url_for("endpoint", name=1) }}    link(...), which calls the builder of URLs without a detour

The code keeps its meaning in every environment: names are looked up when they are used, so a
`url_for` of the application is called, and `finalize`, the class of undefined names and the rules
of a sandbox apply. See `template_runtime` for the functions.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator as JinjaCodeGenerator

VERSION = 1  # of the code, for code that is kept in files
IMPORT = "from carboy.app.template_runtime import escape_text, link"
NOT_VALUES = {"self", "endpoint"}  # names of parameters


class CodeGenerator(JinjaCodeGenerator):
    """The code generator of Jinja, with the differences that the top of this file lists."""

    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:
        """The module of a template."""
        self.writeline(IMPORT)
        super().visit_Template(node, frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        context = frame.eval_ctx
        if type(self.environment).concat is not Environment.concat:
            super()._output_child_pre(node, frame, finalize)
            return
        if context.volatile:
            self.write("(escape_text if context.eval_ctx.autoescape else str)(")
        elif context.autoescape:
            self.write("escape_text(")
        else:
            self.write("str(")
        if finalize.src is not None:
            self.write(finalize.src)

    def visit_Call(self, node: nodes.Call, frame: Any, forward_caller: bool = False) -> None:
        """A call of anything."""
        if forward_caller or not self._is_link(node):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.write("link(context, ")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.args[0], frame)
        self.write(", {")
        for argument in node.kwargs:
            self.write(f"{argument.key!r}: ")
            self.visit(argument.value, frame)
            self.write(", ")
        self.write("}, {")
        if frame.loop_frame:
            self.write("'_loop_vars': _loop_vars, ")
        if frame.block_frame:
            self.write("'_block_vars': _block_vars, ")
        self.write("})")

    def _is_link(self, node: nodes.Call) -> bool:
        """Whether a call looks like one of `url_for`, with an endpoint and the values of a rule."""
        names = {argument.key for argument in node.kwargs}
        return (
            isinstance(node.node, nodes.Name)
            and node.node.name == "url_for"
            and len(node.args) == 1
            and node.dyn_args is None
            and node.dyn_kwargs is None
            and len(names) == len(node.kwargs)
            and names.isdisjoint(NOT_VALUES)
            and not any(name.startswith("_") for name in names)
            and not self.environment.is_async
            and not self.environment.sandboxed
        )
