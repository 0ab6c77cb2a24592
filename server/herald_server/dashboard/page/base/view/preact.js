/** Preact and htm: the only module that imports the vendored library. */

export {
  Component, createContext, html, render, useCallback, useContext, useEffect, useErrorBoundary, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "../../../vendor/preact-htm/standalone.module.js";
